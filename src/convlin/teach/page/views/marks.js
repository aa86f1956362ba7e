// What is drawn over a map: marked cells where they are no elements of their own, and windows.

import { shape } from "../elements.js";

// One path a colour and panel, however many cells it marks; around what is pointed at, a ring.
export function marks({ panels, area, spec }, lit, aim) {
  const lines = panels.map(() => new Map());
  const square = (at) => `M${at % spec.columns} ${Math.floor((at % area) / spec.columns)}h1v1h-1z`;
  for (const [at, colors] of lit) {
    const line = lines[Math.floor(at / area)];
    const color = colors[0] ?? "currentColor";
    line.set(color, (line.get(color) ?? "") + square(at));
  }
  panels.forEach(({ over }, at) => {
    const under = group(over);
    under.replaceChildren();
    for (const [color, d] of lines[at])
      shape(under, "path", { class: "mark", d, fill: color, stroke: color });
    if (aim !== null && Math.floor(aim / area) === at)
      shape(under, "path", { class: "mark aim", d: square(aim), fill: "none" });
  });
}

// Marks lie under the numbers that are written over a map, however often either is drawn anew.
function group(over) {
  const there = over.querySelector(".marks");
  if (there) return there;
  const made = shape(over, "g", { class: "marks" });
  over.prepend(made);
  return made;
}

// A rectangle over some panels, in cells: [{panel, top, left, height, width}], in every panel named.
export function outline({ panels }, rectangles) {
  panels.forEach(({ over }, at) => {
    const wanted = rectangles.find((rectangle) => rectangle.panel === at);
    let box = over.querySelector(".outline");
    if (!wanted) return box?.remove();
    box ??= shape(over, "rect", { class: "outline" });
    box.setAttribute("width", wanted.width);
    box.setAttribute("height", wanted.height);
    box.style.transform = `translate(${wanted.left}px, ${wanted.top}px)`;
    over.append(box);
  });
}
