// A map of cells: one panel a channel, lit from outside, pointed at with pointer or keys.
//
// Up to FEW cells each is an element of its own. More are painted on one canvas a panel, and a
// single cell wanders with the keys; both ways a screen reader hears a grid with a place in it.

import { inkOn, stripes } from "../colors.js";
import { child, shape } from "../elements.js";
import { marks } from "./marks.js";
import { steps } from "./steps.js";

const FEW = 400;
const GAP = 8; // pixels between panels
const NAME = 16; // pixels for a panel's name
const LARGEST = 60; // pixels of a cell's side
const FONT = 20; // pixels, at most
const LEAST_FONT = 7.5; // pixels: smaller digits nobody reads

export class Cells {
  constructor(host, calls = {}) {
    const nothing = () => {};
    this.host = host;
    this.calls = { pointed: nothing, pinned: nothing, edited: null, painted: null, typed: null, ...calls };
    this.cursor = 0;
    this.lit = new Map();
    host.addEventListener("keydown", (event) => this.key(event));
    host.addEventListener("pointermove", (event) => {
      if (event.buttons && this.calls.painted?.(this.under(event))) return;
      if (event.pointerType !== "touch") this.calls.pointed(this.under(event));
    });
    host.addEventListener("pointerdown", (event) => {
      if (this.calls.painted?.(this.under(event))) event.preventDefault();
    });
    host.addEventListener("pointerleave", () => this.calls.pointed(null));
    host.addEventListener("click", (event) => {
      const at = this.under(event);
      if (at === null || this.calls.painted?.(null)) return;
      this.go(at);
      this.calls.pinned(at);
    });
    host.addEventListener("dblclick", (event) => {
      const at = this.under(event);
      if (at !== null) this.calls.edited?.(at);
    });
    host.addEventListener("focusin", ({ target }) => {
      if ("at" in target.dataset) this.go(Number(target.dataset.at)); // wherever it came from
      this.calls.pointed(this.cursor);
    });
    host.addEventListener("focusout", () => this.calls.pointed(null));
    new ResizeObserver(() => this.fit()).observe(host.parentElement);
  }

  // spec: label, rows, columns, panels [{name, place: [row, column] or undefined}], pad [t, l, b, r],
  // text(at), describe(at), fill(at) -> colours of a cell's own, shade(at) from -1 to 1,
  // paint(context, panel), pooled: cells a pixel of what is painted, image, bare: what is around
  // the cells is no padding
  draw(spec) {
    const { rows, columns, panels } = spec;
    const focused = this.host.contains(document.activeElement);
    this.spec = { pad: [0, 0, 0, 0], pooled: 1, few: rows * columns * panels.length <= FEW, ...spec };
    this.area = rows * columns;
    this.cursor = Math.min(this.cursor, this.area * panels.length - 1);
    this.lit = new Map();
    const grid = document.createElement("div");
    grid.className = "cells";
    grid.setAttribute("role", "grid");
    grid.setAttribute("aria-label", spec.label);
    grid.setAttribute("aria-rowcount", rows * panels.length);
    grid.setAttribute("aria-colcount", columns);
    this.panels = panels.map((panel, at) => this.panel(grid, panel, at));
    this.grid = grid;
    this.longest = 1;
    for (let at = 0; this.spec.few && at < this.area * panels.length; at++) {
      this.longest = Math.max(this.longest, this.spec.text(at).length);
    }
    this.host.replaceChildren(grid);
    this.fit();
    this.go(this.cursor, focused);
  }

  panel(grid, { name }, at) {
    const { rows, columns, pad, few } = this.spec;
    const [top, left, bottom, right] = pad;
    const group = child(grid, "div", "panel", { role: "rowgroup", "aria-label": name });
    if (this.named()) child(group, "div", "name", { "aria-hidden": "true" }).textContent = name;
    const frame = child(group, "div", "frame");
    const board = child(frame, "div", "board");
    const panel = { group, frame, board, cells: [] };
    if (few) {
      for (let row = 0; row < rows; row++) {
        const line = child(board, "div", "row", {
          role: "row",
          "aria-rowindex": at * rows + row + 1,
        });
        for (let column = 0; column < columns; column++)
          panel.cells.push(this.cell(line, at, row, column));
      }
    } else {
      this.base(board, at);
      const line = child(board, "div", "row lone", { role: "row" });
      panel.lone = child(line, "div", "cursor", { role: "gridcell", tabindex: "-1" });
    }
    panel.over = shape(frame, "svg", {
      class: "over",
      "aria-hidden": "true",
      preserveAspectRatio: "none",
      viewBox: `${-left} ${-top} ${left + columns + right} ${top + rows + bottom}`,
    });
    if (top || left || bottom || right) frame.classList.add(this.spec.bare ? "bare" : "padded");
    return panel;
  }

  cell(line, panel, row, column) {
    const at = panel * this.area + row * this.spec.columns + column;
    const cell = child(line, "div", "cell", {
      role: "gridcell",
      tabindex: "-1",
      "data-at": at,
      "aria-colindex": column + 1,
      "aria-label": this.spec.describe(at),
    });
    cell.textContent = this.spec.text(at);
    this.tint(cell, at, []);
    return cell;
  }

  tint(cell, at, colors) {
    const own = colors.length ? colors : (this.spec.fill?.(at) ?? []);
    cell.classList.toggle("own", own.length > 0);
    if (own.length) {
      cell.style.setProperty("--own", stripes(own));
      cell.style.setProperty("--own-ink", inkOn(own[0]));
    }
    for (const name of ["changed", "known"])
      cell.classList.toggle(name, Boolean(this.spec[name]?.(at)));
    if (!this.spec.shade) return;
    const shade = this.spec.shade(at);
    cell.style.setProperty("--tone", shade < 0 ? "var(--minus)" : "var(--plus)");
    cell.style.setProperty("--shade", Math.abs(shade));
  }

  base(board, at) {
    if (this.spec.image) {
      child(board, "img", "base", {
        alt: "",
        src: this.spec.image,
        "aria-hidden": "true",
        draggable: "false",
      });
      return;
    }
    const canvas = child(board, "canvas", "base", {
      width: Math.ceil(this.spec.columns / this.spec.pooled),
      height: Math.ceil(this.spec.rows / this.spec.pooled),
      "aria-hidden": "true",
    });
    this.spec.paint(canvas.getContext("2d"), at);
  }

  named() {
    return this.spec.panels.length > 1 && this.spec.panels.length <= 16;
  }

  // Choose the side of a cell, in whole pixels where there are enough of them.
  fit() {
    if (!this.spec || !this.host.clientWidth) return;
    const { rows, columns, panels, pad } = this.spec;
    const wide = columns + pad[1] + pad[3];
    const high = rows + pad[0] + pad[2];
    const placed = panels.every((panel) => panel.place);
    const size = (across, name = this.named() ? NAME : 0) => {
      const down = placed
        ? 1 + Math.max(...panels.map((panel) => panel.place[0]))
        : Math.ceil(panels.length / across);
      return Math.min(
        (this.host.clientWidth - (across - 1) * GAP - 2) / across / wide,
        ((this.height() - (down - 1) * GAP - 2) / down - name) / high,
        this.spec.largest ?? LARGEST,
      );
    };
    const choices = placed
      ? [1 + Math.max(...panels.map((panel) => panel.place[1]))]
      : panels.map((_, at) => at + 1);
    const across = choices.reduce((best, count) => (size(count) >= size(best) ? count : best));
    const nameless = size(across) * high < 2 * NAME; // no name is larger than what it names
    const fitting = size(across, nameless ? 0 : undefined) * (this.spec.zoom ?? 1);
    this.grid.classList.toggle("nameless", nameless);
    this.side = fitting >= 2 ? Math.floor(fitting) : Math.max(fitting, 0.02);
    const font = Math.min(FONT, this.side * 0.44, (this.side * 1.2) / this.longest);
    this.grid.style.setProperty("--cell", `${this.side}px`);
    this.grid.style.setProperty("--font", `${font}px`);
    this.grid.style.gridTemplateColumns = `repeat(${across}, auto)`;
    this.grid.classList.toggle("wordless", font < LEAST_FONT);
    this.grid.classList.toggle("tiny", this.side < 4);
    this.grid.classList.toggle("thin", this.side < 9);
    this.grid.classList.toggle("lined", !this.spec.few && this.side >= 7);
    panels.forEach((panel, at) => {
      const [row, column] = panel.place ?? [Math.floor(at / across), at % across];
      this.panels[at].group.style.gridArea = `${row + 1} / ${column + 1}`;
      Object.assign(this.panels[at].frame.style, {
        width: `${wide * this.side}px`,
        height: `${high * this.side}px`,
      });
      Object.assign(this.panels[at].board.style, {
        left: `${pad[1] * this.side}px`,
        top: `${pad[0] * this.side}px`,
        width: `${columns * this.side}px`,
        height: `${rows * this.side}px`,
      });
    });
    this.spec.fitted?.(this);
  }

  // One screen on a desktop: the box's own height. Stacked: as high as it likes, within reason.
  height() {
    return matchMedia("(min-width: 1100px)").matches
      ? this.host.clientHeight
      : (this.spec.tallest ?? 150);
  }

  under(event) {
    for (const [at, panel] of this.panels.entries()) {
      const box = panel.board.getBoundingClientRect();
      const column = Math.floor(((event.clientX - box.left) / box.width) * this.spec.columns);
      const row = Math.floor(((event.clientY - box.top) / box.height) * this.spec.rows);
      if (column >= 0 && row >= 0 && column < this.spec.columns && row < this.spec.rows) {
        return at * this.area + row * this.spec.columns + column;
      }
    }
    return null;
  }

  key(event) {
    const { rows, columns, panels } = this.spec;
    if (this.calls.typed?.(this.cursor, event)) {
      event.preventDefault();
      return;
    }
    const next = steps(event, this.cursor, { rows, columns, panels: panels.length });
    const typed = /^[0-9.-]$/.test(event.key) && !event.ctrlKey && !event.metaKey;
    if (next !== null) {
      this.go(next, true);
      this.calls.pointed(next);
    } else if (event.key === "Enter" || event.key === " ") {
      this.calls.pinned(this.cursor);
    } else if (this.calls.edited && (typed || event.key === "F2")) {
      this.calls.edited(this.cursor, event.key);
    } else {
      return;
    }
    event.preventDefault();
  }

  // The one cell that Tab reaches.
  go(at, focus = false) {
    const { columns, rows, few } = this.spec;
    this.element(this.cursor).tabIndex = -1;
    this.cursor = at;
    const cell = this.element(at);
    if (!few) {
      const row = Math.floor((at % this.area) / columns);
      cell.style.left = `calc(var(--cell) * ${at % columns})`;
      cell.style.top = `calc(var(--cell) * ${row})`;
      cell.parentElement.setAttribute("aria-rowindex", Math.floor(at / this.area) * rows + row + 1);
      cell.setAttribute("aria-colindex", (at % columns) + 1);
      cell.setAttribute("aria-label", this.spec.describe(at));
    }
    cell.tabIndex = 0;
    if (focus) cell.focus();
  }

  element(at) {
    const panel = this.panels[Math.floor(at / this.area)];
    return this.spec.few ? panel.cells[at % this.area] : panel.lone;
  }

  // Light cells: a Map from flat index to colours. One of them may be what is pointed at.
  light(lit, aim = null) {
    this.grid.classList.toggle("some", lit.size > 0);
    if (this.spec.few) {
      for (const at of this.lit.keys()) if (!lit.has(at)) this.mark(at, [], false);
      for (const [at, colors] of lit) this.mark(at, colors, true);
      this.grid.querySelector(".aim")?.classList.remove("aim");
      if (aim !== null) this.element(aim).classList.add("aim");
    } else {
      marks(this, lit, aim);
    }
    this.lit = lit;
  }

  mark(at, colors, on) {
    const cell = this.element(at);
    cell.classList.toggle("lit", on);
    this.tint(cell, at, colors);
  }
}
