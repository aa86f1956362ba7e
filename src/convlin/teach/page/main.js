// Put the parts together: the text sets states, the views show them, links hold them.

import { given, offline } from "./given.js";
import { say, title, translate } from "./words.js";
import { choose, pin, shown, tellRefusal, tellScene, whenScene } from "./store.js";
import { startReadout } from "./readout.js";
import { startInput } from "./views/input.js";
import { startKernel } from "./views/kernel.js";
import { startOutput } from "./views/output.js";
import { startMatrix } from "./views/matrix.js";
import { startWiring } from "./views/wiring.js";
import { startStraighten } from "./views/straighten.js";
import { startBench } from "./views/bench.js";
import { startDial } from "./views/dial.js";
import { startCounts } from "./counts.js";
import { startControls } from "./controls.js";
import { startLayer } from "./layer.js";
import { startPlayer } from "./player.js";
import { startArticle } from "./article.js";
import { byId } from "./elements.js";

const TABS = ["matrix", "wiring", "straighten", "bench", "dial", "layer"];
const OLD = { family: "bench" }; // tabs by the names that links once had
const narrow = matchMedia("(max-width: 1099px)");

translate(document);
byId("views").hidden = false;
document.body.classList.add("linked");
whenScene(({ scene }) => {
  if (document.body.classList.contains("alone")) document.title = `${title(scene)} · convlin`;
});
startLayer();
startCounts(byId("counts"));
startInput(byId("input"));
startKernel(byId("tap"));
startOutput(byId("output"));
startMatrix(byId("matrix-map"), byId("zoom"));
startWiring(byId("wires"));
const turns = {
  straighten: startStraighten(byId("panel-straighten")),
  bench: startBench(byId("panel-bench")),
  dial: startDial(byId("panel-dial")),
};
startControls(byId("controls"));
startReadout(byId("readout"));
const round = startPlayer(byId("play"));
const open = startTabs();
const read = startArticle(async ({ link, tab, step }, asked, keys) => {
  if (asked && narrow.matches) byId("dock").classList.add("open");
  await choose(link.replace(/^\?/, ""));
  open(tab ?? "matrix");
  turns[tab]?.(step ?? (tab === "straighten" ? "wires" : ""));
  if (keys) byId("back").focus(); // the next stop is the views: there are many more in the text
});
languages();
wide();
byId("back").addEventListener("click", () => document.querySelector(".step.on .show")?.focus());

byId("unpin").addEventListener("click", () => pin(shown.pinned));
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && shown.pinned) pin(shown.pinned);
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", tellScene);
first();

// The tab is no part of the layer's state: it stands in the link's fragment.
function startTabs() {
  const dock = byId("dock");
  const open = (name, focus) => {
    byId("views").dataset.tab = name;
    for (const tab of TABS) {
      const button = byId(`tab-${tab}`);
      button.setAttribute("aria-selected", tab === name);
      button.tabIndex = tab === name ? 0 : -1;
      byId(`panel-${tab}`).hidden = tab !== name;
    }
    if (focus) byId(`tab-${name}`).focus();
    inSight(byId("tabs"), byId(`tab-${name}`));
  };
  const chosen = (name, focus) => {
    open(name, focus);
    if (!offline) history.replaceState(history.state, "", `${location.pathname}${location.search}#${name}`);
  };
  TABS.forEach((tab, at) => {
    const button = byId(`tab-${tab}`);
    button.addEventListener("click", () => {
      const again = button.getAttribute("aria-selected") === "true";
      dock.classList.toggle("open", !(again && dock.classList.contains("open")));
      chosen(tab);
    });
    button.addEventListener("keydown", ({ key }) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[key];
      if (step) chosen(TABS[(at + step + TABS.length) % TABS.length], true);
    });
  });
  open(TABS[0]);
  return open;
}

// Scroll the row of tabs alone: the page stays where it is read.
function inSight(row, tab) {
  const [box, own] = [row, tab].map((element) => element.getBoundingClientRect());
  row.scrollLeft += Math.min(0, own.left - box.left) + Math.max(0, own.right - box.right);
}

// Another language is another page of the same state.
function languages() {
  const group = byId("languages");
  group.hidden = offline;
  for (const button of group.children) {
    const language = button.dataset.language;
    button.setAttribute("aria-pressed", given.lang === language);
    button.addEventListener("click", () => {
      if (language === given.lang) return;
      const query = new URLSearchParams(shown.scene?.link ?? "");
      query.set("lang", language);
      location.assign(`?${query}${location.hash}`);
    });
  }
}

// The views alone, as wide as the window, or beside the text.
function wide() {
  const button = byId("wide");
  button.hidden = false;
  const show = () => {
    const alone = document.body.classList.contains("alone");
    button.textContent = say(alone ? "views.reading" : "views.wide");
    button.setAttribute("aria-pressed", alone);
  };
  button.addEventListener("click", () => {
    remember(!document.body.classList.toggle("alone"));
    show();
  });
  whenScene(show);
  show();
}

// Whether the text was there, for when this page is loaded again: its address then has a state, too.
function remember(reading) {
  history.replaceState({ reading }, "");
}

// What the page opens with: the state of its link, or of its file; else the first paragraph.
async function first() {
  const fragment = location.hash.slice(1);
  const tab = OLD[fragment] ?? fragment;
  const query = new URLSearchParams(location.search);
  query.delete("lang");
  const link = query.size ? query.toString() : (given.opens?.replace(/^\?/, "") ?? null);
  const lesson = document.getElementById(fragment);
  if (link === null && !TABS.includes(tab)) {
    const paragraph = lesson?.matches("section") ? lesson.querySelector(".step:not(.veiled)")?.id : null;
    remember(true);
    await read(paragraph);
    if (!fragment) round();
    return;
  }
  document.body.classList.toggle("alone", !history.state?.reading);
  byId("dock").classList.add("open");
  await choose(link ?? "");
  if (TABS.includes(tab)) open(tab);
  const { refusal } = shown;
  if (shown.scene || !refusal) return;
  await choose("");
  shown.refusal = refusal;
  tellRefusal();
}
