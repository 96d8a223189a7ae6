// A picture with its own buttons: how large it is, and its files.

import {button} from "./elements.js";
import {save} from "./download.js";
import {LEAST, painted} from "./paint.js";

const sizes = new Map();  // by the place of a picture: "whole" or "full", if one has been chosen there

// Returns a <figure>; `place` is a name that stays while the picture is redrawn, `picture` an answer of Python.
export async function figure(place, picture, choose) {
    const {svg, text} = await painted(picture, choose);
    const made = document.createElement("figure"), bar = document.createElement("figcaption");
    const view = document.createElement("div");
    view.className = "scroll";
    view.tabIndex = 0;  // for the keys that scroll
    view.setAttribute("role", "group");
    view.setAttribute("aria-label", picture.title);
    view.append(svg);
    for (const [size, words] of [["whole", "fit"], ["full", "full size"]]) {
        const one = button(words, () => {
            if (sizes.get(place) === size) sizes.delete(place); else sizes.set(place, size);
            resize(made, place);
        });
        one.dataset.size = size;
        bar.append(one);
    }
    bar.append(...files(picture.title, text));
    made.append(view, bar);
    made.dataset.width = svg.dataset.width;
    resize(made, place);
    return made;
}

// Returns buttons that save an SVG as it is, and as a PNG of twice its size.
export function files(title, text) {
    const name = title.toLowerCase().replaceAll(/[^\p{L}\p{N}]+/gu, "-").replaceAll(/^-|-$/g, "") || "picture";
    return [labelled("SVG", title, () => save(`${name}.svg`, new Blob([text], {type: "image/svg+xml"}))),
            labelled("PNG", title, async () => save(`${name}.png`, await raster(text)))];
}

function labelled(kind, title, press) {
    const made = button(kind, press);
    made.setAttribute("aria-label", `Save as ${kind}: ${title}`);
    made.title = `Save as ${kind}`;
    return made;
}

// Without a choice a picture takes the width that there is, but isn't made so small that it can't be read.
function resize(made, place) {
    const chosen = sizes.get(place), svg = made.querySelector("svg");
    for (const one of made.querySelectorAll("[data-size]")) one.setAttribute("aria-pressed", one.dataset.size === chosen);
    svg.style.maxWidth = chosen === "full" ? "none" : "100%";
    svg.style.minWidth = chosen === "whole" ? "0" : `${LEAST * svg.dataset.width}pt`;
}

async function raster(text) {
    const image = new Image(), url = URL.createObjectURL(new Blob([text], {type: "image/svg+xml"}));
    try {
        image.src = url;
        await image.decode();
        const canvas = document.createElement("canvas");
        canvas.width = 2 * image.naturalWidth;
        canvas.height = 2 * image.naturalHeight;
        canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
        return await new Promise(done => canvas.toBlob(done, "image/png"));
    } finally {
        URL.revokeObjectURL(url);
    }
}
