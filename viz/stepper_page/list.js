// The list of all steps. Only the rows in sight are elements, so that its length costs nothing.
"use strict";

// place: a listbox that scrolls, with one element for its rows; row(number): the parts of a row, and its whole text.
function stepsList({ place, last, row, go, element }) {
  const HEIGHT = 26, BEYOND = 6;                           // pixels of a row; rows drawn above and below
  const inside = place.firstElementChild;
  let numbers = Array.from({ length: last }, (_, i) => i + 1), at = 0, drawn = "", height = 0, top = 0;       // the last two: of what is in sight; reading them anew would cost a layout
  const index = () => {                                    // of the current step among the rows, or of the last one before it
    let low = 0, high = numbers.length;
    while (low < high) { const middle = (low + high) >> 1; if (numbers[middle] <= at) low = middle + 1; else high = middle; }
    return low - 1;
  };
  function draw() {
    const first = Math.max(Math.floor(top / HEIGHT) - BEYOND, 0);
    const end = Math.min(first + Math.ceil(height / HEIGHT) + 2 * BEYOND, numbers.length);
    const state = `${first} ${end} ${at} ${numbers.length} ${numbers[first]} ${numbers[end - 1]}`;
    if (state === drawn || !height) return;
    drawn = state;
    inside.style.height = `${numbers.length * HEIGHT}px`;
    inside.replaceChildren(...numbers.slice(first, end).map((number, i) => {
      const { parts, text } = row(number), current = number === at;
      const line = element("div", { role: "option", id: `row-${number}`, "data-step": number, title: text, "aria-selected": String(current),
        "aria-setsize": numbers.length, "aria-posinset": first + i + 1 }, ...parts);
      if (current) line.setAttribute("aria-current", "step");
      line.style.top = `${(first + i) * HEIGHT}px`;
      return line;
    }));
    const current = inside.querySelector("[aria-current]");
    if (current) place.setAttribute("aria-activedescendant", current.id); else place.removeAttribute("aria-activedescendant");
  }
  function reveal() {                                      // scroll the current row, or where it would be, into sight
    const row = Math.max(index(), 0) * HEIGHT, beside = 2 * HEIGHT;
    if (row < top + beside || row + HEIGHT > top + height - beside) {
      inside.style.height = `${numbers.length * HEIGHT}px`;
      place.scrollTop = row - height / 2 + HEIGHT / 2;
      top = place.scrollTop;
    }
    draw();
  }
  const rowsInSight = () => Math.max(Math.floor(height / HEIGHT) - 1, 1);
  place.addEventListener("scroll", () => { top = place.scrollTop; draw(); });
  new ResizeObserver(() => { height = place.clientHeight; top = place.scrollTop; reveal(); }).observe(place);
  place.addEventListener("click", event => {
    const line = event.target.closest("[data-step]");
    if (line) go(Number(line.dataset.step));
  });
  place.addEventListener("keydown", event => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey || !numbers.length) return;
    const on = numbers[index()] === at ? 0 : -1;           // is the current step a row?
    const moves = { ArrowDown: index() + 1, ArrowUp: index() - 1 - on, PageDown: index() + rowsInSight(), PageUp: index() - rowsInSight(), Home: 0, End: numbers.length - 1 };
    if (!Object.hasOwn(moves, event.key)) return;
    event.preventDefault();
    event.stopPropagation();
    if (event.key === "ArrowUp" && moves.ArrowUp < 0) return;
    go(numbers[Math.min(Math.max(moves[event.key], 0), numbers.length - 1)]);
  });
  return {
    show(step) { at = step; if (height) reveal(); },
    filter(found) { numbers = found || Array.from({ length: last }, (_, i) => i + 1); drawn = ""; if (height) reveal(); },
  };
}
