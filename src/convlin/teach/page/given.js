// What the page is given with its text: words, presets, pictures, colours, geometries.

export const given = JSON.parse(document.getElementById("given").textContent);
export const offline = !given.engine;
