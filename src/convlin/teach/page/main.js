// Put the parts together, ask for the first scene, and keep language, lesson and tab.

import { learn, say, translate } from "./words.js";
import { offline } from "./scene.js";
import { ask, change, choose, pin, shown, tellRefusal, tellScene, whenScene } from "./store.js";
import { startReadout } from "./readout.js";
import { startInput } from "./views/input.js";
import { startKernel } from "./views/kernel.js";
import { startOutput } from "./views/output.js";
import { startMatrix } from "./views/matrix.js";
import { startWiring } from "./views/wiring.js";
import { startFamily } from "./views/family.js";
import { startCounts } from "./counts.js";
import { startControls } from "./controls.js";
import { startPlayer } from "./player.js";
import { child } from "./elements.js";

const TABS = ["matrix", "wiring", "family"];
const byId = (id) => document.getElementById(id);

whenScene(({ scene }) => {
  const language = scene.state.lang ?? "en";
  learn(scene.words, language);
  document.documentElement.lang = language === "zh" ? "zh-Hans" : "en";
  document.title = `${scene.title} · ${say("title")}`;
  translate(document);
  for (const button of byId("languages").children) {
    button.setAttribute("aria-pressed", button.dataset.language === language);
    button.disabled = offline;
  }
  lessons(scene);
});
startCounts(byId("counts"));
startInput(byId("input"));
startKernel(byId("tap"));
startOutput(byId("output"));
startMatrix(byId("matrix-map"), byId("zoom"));
startWiring(byId("wires"));
startFamily(byId("panel-family"));
startControls(byId("controls"));
startReadout(byId("readout"));
startPlayer(byId("play"));
tabs();

byId("unpin").addEventListener("click", () => pin(shown.pinned));
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && shown.pinned) pin(shown.pinned);
});
for (const button of byId("languages").children) {
  button.addEventListener("click", () => change({ lang: button.dataset.language }));
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", tellScene);
first();

function lessons(scene) {
  const list = byId("presets");
  if (list.children.length !== scene.presets.length) {
    list.replaceChildren();
    for (const { name } of scene.presets) {
      const button = child(child(list, "li"), "button", "", {
        type: "button",
        "data-preset": name,
      });
      button.addEventListener("click", () => choose(name));
    }
  }
  scene.presets.forEach(({ name, title }, at) => {
    const button = list.children[at].firstChild;
    button.textContent = title;
    button.disabled = offline;
    button.setAttribute("aria-pressed", scene.state.preset === name);
  });
}

// The tab is no part of the layer's state: it stands in the link's fragment.
function tabs() {
  const open = (name, focus) => {
    for (const tab of TABS) {
      const button = byId(`tab-${tab}`);
      button.setAttribute("aria-selected", tab === name);
      button.tabIndex = tab === name ? 0 : -1;
      byId(`panel-${tab}`).hidden = tab !== name;
    }
    if (focus) byId(`tab-${name}`).focus();
    if (!offline) history.replaceState(null, "", `${location.pathname}${location.search}#${name}`);
  };
  TABS.forEach((tab, at) => {
    byId(`tab-${tab}`).addEventListener("click", () => open(tab));
    byId(`tab-${tab}`).addEventListener("keydown", ({ key }) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[key];
      if (step) open(TABS[(at + step + TABS.length) % TABS.length], true);
    });
  });
  const named = location.hash.slice(1);
  open(TABS.includes(named) ? named : TABS[0]);
}

// The link's state; where the engine refuses it, what it would show without, and why.
async function first() {
  shown.wanted = new URLSearchParams(location.search);
  const language = shown.wanted.get("lang") ?? (navigator.language.startsWith("zh") ? "zh" : "en");
  if (!offline) shown.wanted.set("lang", language);
  await ask();
  const { refusal } = shown;
  if (shown.scene || !refusal) return;
  shown.wanted = new URLSearchParams({ lang: language === "zh" ? "zh" : "en" });
  await ask();
  shown.refusal = refusal;
  tellRefusal();
}
