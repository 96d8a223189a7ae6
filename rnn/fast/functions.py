import numpy as np
from numba import njit
f32=np.float32
c0,c1,c2,c3,c4,c5,c6=[f32(x) for x in (-2.76076847742355e-16,2.00018790482477e-13,-8.60467152213735e-11,5.12229709037114e-08,1.48572235717979e-05,6.37261928875436e-04,4.89352455891786e-03)]
d0,d1,d2,d3=[f32(x) for x in (1.19825839466702e-06,1.18534705686654e-04,2.26843463243900e-03,4.89352518554385e-03)]
lim=f32(7.90531110763549805); half=f32(.5)
@njit(error_model="numpy",fastmath={"contract"},cache=True)
def tanh_float32(x):
    y=min(max(x,-lim),lim) if x==x else x
    s=y*y
    p=c0*s+c1; p=p*s+c2; p=p*s+c3; p=p*s+c4; p=p*s+c5; p=(p*s+c6)*y
    q=d0*s+d1; q=q*s+d2; q=q*s+d3
    return p/q
@njit(cache=True)
def sigmoid_float32(x): return tanh_float32(x*half)*half+half
@njit(cache=True)
def exp_float32(x): return np.exp(x)
exp_float64=exp_float32
@njit(cache=True)
def tanh_float64(x): return np.tanh(x)
@njit(cache=True,error_model="numpy")
def sigmoid_float64(x): return 1./(1.+np.exp(-x))
