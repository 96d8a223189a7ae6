// The reader's own programs, which the browser keeps: the last one, and the one before that another was begun.

const PLACE = `playground ${location.pathname} `;  // a host may have other pages

export function kept(which) {
    try {
        return localStorage.getItem(PLACE + which) ?? "";
    } catch {
        return "";  // a browser may be set to keep nothing
    }
}

// `begun`: the program comes from an example or a link, and has just been changed for the first time.
export function keep(program, begun) {
    const last = kept("last");
    if (program === last || !program.trim()) return;
    try {
        if (begun && last) localStorage.setItem(`${PLACE}before`, last);
        localStorage.setItem(`${PLACE}last`, program);
    } catch { /* there is no room, or nothing is kept */ }
}
