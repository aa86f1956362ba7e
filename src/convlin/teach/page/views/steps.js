// Where the keys of a grid lead: arrows, Home and End in a panel, pages from panel to panel.

// The flat index reached from another, the same where an edge is in the way, null for other keys.
export function steps({ key, ctrlKey, altKey, metaKey }, from, { rows, columns, panels }) {
  if (altKey || metaKey || (ctrlKey && key !== "Home" && key !== "End")) return null;
  const panel = Math.floor(from / (rows * columns));
  const row = Math.floor(from / columns) % rows;
  const column = from % columns;
  const targets = {
    ArrowLeft: [panel, row, column - 1],
    ArrowRight: [panel, row, column + 1],
    ArrowUp: [panel, row - 1, column],
    ArrowDown: [panel, row + 1, column],
    Home: [panel, ctrlKey ? 0 : row, 0],
    End: [panel, ctrlKey ? rows - 1 : row, columns - 1],
    PageUp: [panel - 1, row, column],
    PageDown: [panel + 1, row, column],
  };
  if (!(key in targets)) return null;
  const within = (place, size) => Math.min(Math.max(place, 0), size - 1);
  const [p, r, c] = targets[key];
  return (within(p, panels) * rows + within(r, rows)) * columns + within(c, columns);
}
