// Graphviz as WebAssembly, inside of the module.
export {instance} from "@viz-js/viz";
