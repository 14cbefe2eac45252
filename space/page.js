// What the browser does by itself: which reply is shown, what is focused, keys, copies, links, and a reload.
// Words come from the page or from its address, and go into it as text; nothing here is believed by the server.
const repartee = (() => {
  const { $, all, body, tell, focus, visible, typing, fill, set } = dom, { group, mend } = gradioGaps;
  const KEPT = "repartee-conversation", EXAMPLES_LEFT = [];

  // ---- states: Stop stands in the place of Send while `answering` is set

  const busy = (on) => all("#latest, .variant.block").forEach((one) => one.setAttribute("aria-busy", on));
  const answering = (tab) => { body().answering = tab; busy(true); };
  const atRest = () => { delete body().answering; busy(false); keep(); };

  // ---- the conversation as text

  const turns = () => all("#conversation .turn").filter(visible).map((turn) =>
    [$(".cue", turn).textContent, $(".message-content", turn).textContent]);
  const script = () => turns().map(([cue, words]) => `${cue.toUpperCase()}\n${words}`).join("\n\n");

  /** Copies text, with or without a clipboard; where there is no way, it is shown to be copied by hand. */
  const copyText = async (text, done) => {
    try {
      await navigator.clipboard.writeText(text);
      return tell(done);
    } catch { /* no clipboard, or no permission: an old way is left */ }
    const box = $("#by-hand textarea"), dialog = $("#by-hand");
    box.value = text;
    dialog.showModal();
    box.select();
    if (document.execCommand("copy")) {
      dialog.close();
      tell(done);
    }
  };
  const nothing = () => turns().length === 0 && (tell("Nothing has been said yet."), true);
  const copy = () => nothing() || copyText(script(), "The conversation is copied.");

  /** Where the latest line can be heard again: a link that fills the page in, and asks nothing by itself. */
  const link = () => {
    const address = new URL(location.origin + location.pathname);
    const line = all("#conversation .user .message-content").pop()?.textContent ?? "";
    const seed = all("#latest .ended").filter(visible).pop()?.textContent.match(/Seed (\d+)/)?.[1];
    for (const [name, value] of Object.entries({ tab: "chat", line, scene: $("#scene textarea, #scene input")?.value, seed }))
      if (value) address.searchParams.set(name, value);
    return address.href;
  };
  const share = async () => {
    if (nothing()) return;
    const text = script(), url = link();
    if (navigator.share) return navigator.share({ title: "Repartee", text, url }).catch(() => {});
    await copyText(`${text}\n\n${url}`, "Copied with a link to this scene.");
  };

  // ---- opened: by a link, and after a reload

  const opened = () => {
    const asked = new URLSearchParams(location.search), tab = asked.get("tab");
    const line = (asked.get("line") ?? "").slice(0, LIMITS.line), scene = (asked.get("scene") ?? "").slice(0, LIMITS.scene);
    const seed = (asked.get("seed") ?? "").replace(/\D/g, "").slice(0, LIMITS.seed);
    const button = all("[role=tab]").find((one) => one.textContent.trim().toLowerCase() === tab);
    if (button) button.click();
    if ((scene || seed) && !visible($("#seed"))) $("#sampling button")?.click();
    const comparing = tab === "compare";
    const asAsked = (text) => text || { __type__: "update" };  // no update: who types before the page is whole keeps it
    return [comparing ? "" : line, comparing ? line : "", seed, scene].map(asAsked);
  };

  // ---- a scene out of a file, which is read by scene_file.js

  const HELD = { file: null, filled: ["", ""] };
  /** The chosen file: the one that was dropped, or one that is picked now; null where nobody picks any. */
  const chosenFile = () => new Promise((resolve) => {
    const dropped = HELD.file;
    HELD.file = null;
    if (dropped) return resolve(dropped);
    const picker = Object.assign(document.createElement("input"), { type: "file", accept: ".txt,.fountain,.md,text/plain" });
    picker.addEventListener("change", () => resolve(picker.files[0] ?? null));
    picker.addEventListener("cancel", () => resolve(null));
    picker.click();
  });
  /** The line and the scene of a file; what stands in their fields where there is none, or where it would be lost. */
  const openScene = async (tab, line, scene) => {
    const kept = [line, scene], file = await chosenFile();
    if (!file) return kept;
    if (kept.some((words, n) => words.trim() && words !== HELD.filled[n])) {
      tell("Send or clear the line and the scene that you have begun to write; then open the file again.");
      return kept;
    }
    try {
      const found = await sceneFile.read(file);
      HELD.filled = [found.line, found.scene];
      const before = found.scene ? `, and ${found.cut ? "the end of " : ""}what stands before it is the scene` : "";
      tell(`The last line of ${found.name} is your line${before}.`);
      if (found.scene && !visible($("#seed"))) $("#sampling button")?.click();
      focus(`#${tab}-line textarea`);
      return HELD.filled;
    } catch (error) {
      tell(error.message);
      return kept;
    }
  };
  const files = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  const dragged = (event) => {
    if (!files(event)) return;
    event.preventDefault();
    body().dragged = "";
    clearTimeout(dragged.timer);
    dragged.timer = setTimeout(() => { delete body().dragged; }, 400);
  };
  const dropped = (event) => {
    if (!files(event)) return;
    event.preventDefault();
    delete body().dragged;
    HELD.file = event.dataTransfer.files[0] ?? null;
    if (event.dataTransfer.files.length > 1) return tell("One file at a time: drop the scene alone.");
    if (!["chat", "compare"].includes(body().tab)) all("[role=tab]")[0].click();
    setTimeout(() => $(body().tab === "compare" ? "#compare-open" : "#chat-open").click(), 250);
  };

  /** Keeps what is seen in this tab of the browser, as text; the server keeps nothing over a reload. */
  const keep = () => {
    const now = turns();
    if (now.length) sessionStorage.setItem(KEPT, JSON.stringify([...earlier(), ...now].slice(-100)));
  };
  const earlier = () => all("#earlier .turn").map((turn) => [...turn.children].map((one) => one.textContent));
  const restore = () => {
    let kept = [];
    try { kept = JSON.parse(sessionStorage.getItem(KEPT) ?? "[]"); } catch { /* not ours */ }
    if (!kept.length) return;
    const part = document.createElement("section");
    part.id = "earlier";
    part.setAttribute("aria-label", "Before the reload");
    const add = (parent, tag, kind, words) => {
      const one = document.createElement(tag);
      one.className = kind;
      one.textContent = words;
      one.dir = "auto";
      return parent.appendChild(one);
    };
    for (const [cue, words] of kept) {
      const turn = add(part, "article", cue === "You" ? "turn user" : "turn bot", "");
      add(turn, "p", "cue", cue);
      add(turn, "p", "message-content", words);
    }
    add(part, "p", "small", "Before the page was loaded again. It is kept in this tab alone; the models do not read it.");
    $("#conversation").prepend(part);
  };
  const forget = () => { sessionStorage.removeItem(KEPT); $("#earlier")?.remove(); };

  // ---- Compare

  const deal = (lines) => {
    if (!EXAMPLES_LEFT.length) EXAMPLES_LEFT.push(...lines.sort(() => Math.random() - 0.5));
    return EXAMPLES_LEFT.pop();
  };
  /** When the replies are there: on a phone they come into view, and keys vote unless somebody goes on writing. */
  const toBallot = () => {
    const replies = $("#replies"), field = $("#compare-line textarea");
    if (!visible($("#best-A"))) return;
    if (innerWidth < 700) replies.scrollIntoView({ block: "start" });
    if ([document.body, field, $("#compare-send"), $("#compare-stop"), $("#compare-next")].includes(document.activeElement))
      replies.focus({ preventScroll: true });
  };
  const KEYS = { 1: "#best-A", 2: "#best-B", 3: "#best-C", t: "#ballot button:nth-of-type(1)", b: "#ballot button:nth-of-type(2)" };

  // ---- keys and clicks

  const pressed = (event) => {
    const at = event.target;
    if (at.closest?.("#chat-line") && event.key === "Enter" && !event.shiftKey && body().answering) {
      event.preventDefault();
      event.stopPropagation();
      return tell("The answer is still being written: your line waits here. Press Enter again when it is done, or Stop now.");
    }
    if (at.type === "radio") group(at.closest("fieldset"));
    if (at.getAttribute?.("role") === "tab") return alongTabs(event, at);
    const vote = !event.ctrlKey && !event.metaKey && !event.altKey && !typing(at) && $(KEYS[event.key.toLowerCase()] ?? "none");
    if (visible(vote)) vote.click();
  };
  const alongTabs = (event, at) => {
    const tabs = all("[role=tab]", at.closest("[role=tablist]")), place = tabs.indexOf(at);
    const to = { ArrowRight: place + 1, ArrowLeft: place - 1, Home: 0, End: tabs.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const next = tabs[(to + tabs.length) % tabs.length];
    next.click();
    next.focus();
  };
  const clicked = (event) => {
    const step = event.target.closest?.("[data-step]");
    if (step) {
      const shown = step.closest(".draft"), same = all(`#latest .draft[data-variant=${shown.dataset.variant}]`);
      const place = same.indexOf(shown) + Number(step.dataset.step), variants = all("#latest .draft");
      variants.forEach((one) => one.classList.toggle("current",
        all(`#latest .draft[data-variant=${one.dataset.variant}]`).indexOf(one) === place));
      $(`.steps button:not([disabled])`, same[place])?.focus();
    }
    const act = event.target.closest?.("[data-act]");
    if (act?.dataset.act === "copy") copyText($(".message-content", act.closest(".turn")).textContent, "Copied.");
    else if (act) $(`#chat-${act.dataset.act}`).click();
    if (event.target.closest?.("#chat-new")) forget();
    if (event.target.closest?.("[role=tab]")) [0, 200].forEach((delay) => setTimeout(marked, delay));
  };
  const marked = () => {
    mend();
    body().tab = $("[role=tab][aria-selected=true]")?.textContent.trim().toLowerCase() ?? "chat";
  };

  const added = () => {
    const one = (tag, id, html) => Object.assign(document.body.appendChild(document.createElement(tag)), { id, innerHTML: html });
    set(one("div", "told", ""), { role: "status" });
    one("dialog", "by-hand", '<form method="dialog"><label>Copy this by hand<textarea readonly rows="8"></textarea></label>'
      + "<button>Close</button></form>");
    new MutationObserver(() => { const box = $("#conversation"); box.scrollTop = box.scrollHeight; })
      .observe($("#conversation"), { childList: true, subtree: true });
    $("#who").addEventListener("change", (event) => { body().who = event.target.value; });
    body().who = $("#who input:checked")?.value ?? "dpo";
    marked();
    restore();
  };
  const begin = () => {
    if (!$("#conversation") || !$("#who")) return setTimeout(begin, 50);
    document.addEventListener("keydown", pressed, true);
    document.addEventListener("click", clicked);
    document.addEventListener("dragover", dragged);
    document.addEventListener("drop", dropped);
    document.addEventListener("change", () => setTimeout(mend, 50));
    added();
  };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", begin);
  else begin();
  return { answering, atRest, copy, share, opened, openScene, deal, toBallot, focus, fill };
})();
