// Which layer it is: presets, pictures, named kernels; their sizes are the sliders' (controls.js).

import { given } from "./given.js";
import { byId, child } from "./elements.js";
import { say } from "./words.js";
import { change, choose, whenScene } from "./store.js";

const ARTICLE = "article"; // of pictures: the image that the page begins with

export function startLayer() {
  const presets = chips(byId("presets"), Object.keys(given.presets), "preset", (name) =>
    choose(`preset=${name}`),
  );
  const pictures = chips(byId("pictures"), [ARTICLE, ...Object.keys(given.pictures)], "picture", drawn);
  const kernels = chips(byId("kernels"), Object.keys(given.kernels), "picture", (name) =>
    change({ kernel: "3x3", weights: given.kernels[name].join(",") }),
  );
  whenScene(({ scene: { state, input, kernel } }) => {
    mark(presets, state.preset);
    const plain = input.shape.join() === "1,6,6" && !state.image;
    mark(pictures, state.picture ?? (plain ? ARTICLE : null));
    const single = kernel.shape.join() === "1,1,3,3";
    const named = Object.entries(given.kernels).find(
      ([, values]) => single && values.every((value, at) => value === kernel.values[at]),
    );
    mark(kernels, named?.[0] ?? null);
    for (const button of kernels.values()) button.disabled = state.in !== "1" || state.out !== "1";
  });
}

// A picture with the kernel that is there, if it is one of a single channel; else with the first.
function drawn(name) {
  if (name === ARTICLE) return choose("");
  return change({ picture: name, size: null, in: null, out: null, groups: null, image: null, at: null });
}

function chips(host, names, table, chosen) {
  return new Map(
    names.map((name) => {
      const parent = host.tagName === "UL" ? child(host, "li") : host;
      const button = child(parent, "button", "", { type: "button", [`data-${table}`]: name });
      button.textContent = say(`${table}.${name}`);
      button.addEventListener("click", () => chosen(name));
      return [name, button];
    }),
  );
}

function mark(buttons, name) {
  for (const [own, button] of buttons) button.setAttribute("aria-pressed", own === name);
}
