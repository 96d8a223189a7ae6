// The reader's own programs, which the browser keeps: that of this tab, and the last few of all tabs.
// A program is {id, text, waits}; `waits` says that it came by a link, and hasn't been allowed to run.

const MOST = 5;
const PLACE = `playground ${location.pathname} `;  // a host may have other pages
const TAB = `${PLACE}tab`, ALL = `${PLACE}programs`;

function read(storage, key) {
    try {
        return JSON.parse(window[storage].getItem(key));
    } catch {
        return null;  // a browser may be set to keep nothing
    }
}

function write(storage, key, value) {
    try {
        window[storage].setItem(key, JSON.stringify(value));
        return true;
    } catch {
        return false;  // there is no room, or nothing is kept
    }
}

// Returns the last programs, the newest first.
export function programs() {
    return read("localStorage", ALL) ?? [];
}

// Returns what this tab has shown last: a program, or {name} of an example; null in a new tab.
export function ofTab() {
    return read("sessionStorage", TAB);
}

export function keepOfTab(shown) {
    write("sessionStorage", TAB, shown);
}

// Keeps a text, and returns its program: `program` with its text changed, or a new one if that is null or if another tab
// has changed it since.
export function keep(program, text, waits) {
    const list = programs(), same = list.find(one => one.text === text);
    const elsewhere = list.some(one => one.id === program?.id && one.text !== program.text);
    const id = same?.id ?? (program && !elsewhere ? program.id : `${Date.now()} ${Math.random()}`);
    const kept = {id, text, waits}, all = [kept, ...list.filter(one => one.id !== id)].slice(0, MOST);
    while (all.length && !write("localStorage", ALL, all)) all.pop();
    keepOfTab(kept);
    return kept;
}
