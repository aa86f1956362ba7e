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
    over.querySelectorAll(".mark").forEach((path) => path.remove());
    for (const [color, d] of lines[at])
      shape(over, "path", { class: "mark", d, fill: color, stroke: color });
    if (aim !== null && Math.floor(aim / area) === at)
      shape(over, "path", { class: "mark aim", d: square(aim), fill: "none" });
  });
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
