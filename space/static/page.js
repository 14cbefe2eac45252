// The page: looks at the browser, brings the models in, and answers.
import { missing } from "./browser.js";
import { Chat } from "./chat.js";
import { Compare } from "./compare.js";
import { Controls } from "./controls.js";
import { $, cards, make, tabs, tell } from "./dom.js";
import { buildPrompt } from "./prompt.js";
import { LABELS } from "./replies.js";
import { fetched, megabytes, removeAll, stored } from "./weights.js";

const state = document.body.dataset; // `state`: needs, loading, ready, answering, failed; `answered`: how often
let settings, engine, controls, compare, chat, stopping = null, view = "compare";

const fail = (words) => {
  $("#trouble").textContent = words;
  $("#trouble").hidden = false;
  if (!engine) state.state = "failed"; // else what is here goes on answering
};

// ---- the models

/** Downloads what is missing, the base first, which answers alone until the adapters are there. */
const bringIn = async () => {
  $("#offer").hidden = true;
  state.state = "loading";
  const files = {};
  for (const [place, model] of settings.models.entries()) {
    files[model.variant] = await fetched(model, row(model));
    if (place === 0 && !(await whole(settings.models.slice(1)))) await open({ ...files });
  }
  await open(files);
  $("#progress").hidden = true;
  $("#delete").hidden = false;
};
const whole = async (models) => (await Promise.all(models.map(stored))).every(Boolean);

/** A line with a file's progress; returns what to call with the bytes that are there. */
const row = (model) => {
  const bar = make("progress", { max: model.size, "aria-label": `Download of ${LABELS[model.variant]}` }), count = make("span");
  bar.value = 0;
  $("#progress").append(make("li", {}, make("span", { text: LABELS[model.variant] }), bar, count));
  $("#progress").hidden = false;
  const show = (have) => { bar.value = have; count.textContent = `${megabytes(have)} of ${megabytes(model.size)}`; };
  show(0);
  return show;
};

const open = async (files) => {
  while (stopping) await stopping.done; // a reply that is being written is not cut off
  state.state = "loading";
  $("#send").disabled = true;
  const started = performance.now(), { Engine } = await import("./engine.js");
  await engine?.close();
  const asked = new URLSearchParams(location.search);
  engine = await Engine.open(files, settings, { threads: Number(asked.get("threads")) || null, gpu: asked.get("gpu") === "0" ? false : null });
  const answering = engine.variants.map((variant) => LABELS[variant]).join(", ");
  $("#runtime").textContent = `Runs on ${engine.runsOn}, in this browser: ${answering}. Opened in ${((performance.now() - started) / 1000).toFixed(1)} s.`;
  chat.offer(engine.variants);
  $("#send").disabled = false;
  state.state = "ready";
};

// ---- answers

const answer = async (variant, history, onText) => {
  if (stopping.signal.aborted) return { text: "", stopped: true };
  const prompt = buildPrompt(history, { system: settings.system, contextTurns: settings.context_turns, scene: controls.scene });
  let text = "";
  try {
    return await engine.reply(variant, prompt, stopping.sampling, { signal: stopping.signal, onText: (now) => onText(text = now) });
  } catch (error) {
    if (error.name === "AbortError") return { text, stopped: true };
    throw error;
  }
};

const ask = async (given) => {
  const line = given.trim();
  if (!line) return tell("Type a line first, or pick one of the examples.");
  if (state.state !== "ready") return tell("The models are not here yet.");
  const controller = new AbortController();
  try {
    stopping = { signal: controller.signal, stop: () => controller.abort(), sampling: controls.sampling() };
  } catch (error) { return tell(error.message); }
  let finished;
  stopping.done = new Promise((resolve) => { finished = resolve; });
  state.state = "answering";
  [$("#send").hidden, $("#stop").hidden, $("#line").value] = [true, false, ""];
  try {
    await (view === "compare" ? compare : chat).ask(line, engine.variants, answer);
  } catch (error) {
    tell(`The model could not answer: ${error.message}`);
  }
  stopping = null;
  state.answered = Number(state.answered ?? 0) + 1;
  [$("#send").hidden, $("#stop").hidden, $("#anew").hidden] = [false, true, view !== "chat"];
  state.state = "ready";
  finished();
};

// ---- the page

const switched = (name) => {
  view = name;
  $("#send").textContent = name === "compare" ? "Ask all" : "Send";
  $("#anew").hidden = name !== "chat" || !chat.exchanges.length;
};

const facts = () => {
  const links = settings.models.map(({ variant, repo, revision, path, size }) => make("li", {},
    `${LABELS[variant]}: `, make("a", { href: `${settings.hub}/${repo}/tree/${revision}`, text: `${repo} @ ${revision.slice(0, 7)}` }), `, ${path}, ${megabytes(size)}`));
  $("#facts").append(
    make("p", { text: "Replies are at most 64 tokens long; they are inventions, and can be rude or wrong. Nothing that you write leaves this browser." }),
    make("ul", {}, ...links), make("p", { class: "small", text: `Run by ${settings.runtime}.` }));
};

const wire = () => {
  $("#ask").addEventListener("submit", (event) => { event.preventDefault(); ask($("#line").value); });
  $("#line").addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    ask($("#line").value);
  });
  $("#stop").addEventListener("click", () => stopping?.stop());
  $("#anew").addEventListener("click", () => { if (!stopping) chat.anew(); });
  $("#delete").addEventListener("click", async () => { await removeAll(); tell("The models are deleted from this browser."); $("#delete").hidden = true; });
  for (const name of ["compare", "chat"]) cards($(`#${name} .cards`), settings.examples, ask);
  tabs(switched);
  switched("compare");
};

const start = async () => {
  const lacks = missing();
  if (lacks) return fail(`This browser cannot run the models: ${lacks}. Any Chrome, Edge, Firefox or Safari of the last two years can.`);
  settings = await (await fetch("settings.json")).json();
  if (location.hostname.endsWith(".localhost")) settings.hub += `:${location.port}`; // a local Hub, on the port of the day
  for (const model of settings.models) model.url = `${settings.hub}/${model.repo}/resolve/${model.revision}/${model.path}`;
  [controls, compare, chat] = [new Controls(settings.sampling), new Compare(settings), new Chat()];
  wire();
  facts();
  navigator.serviceWorker?.register("sw.js").catch(() => {}); // without one the page needs the network, and works
  const bring = () => bringIn().catch((error) => fail(error.message));
  if (await whole(settings.models)) return bring();
  const size = settings.models.reduce((sum, model) => sum + model.size, 0);
  $("#download").textContent = `Download the models (${megabytes(size)})`;
  $("#download").addEventListener("click", bring);
  $("#offer").hidden = false;
  state.state = "needs";
};

start().catch((error) => fail(`The page could not start: ${error.message}`));
