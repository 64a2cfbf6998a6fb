// Keeps the live part of a page fresh while something runs. Without it the link «Refresh» does the same.
(() => {
  "use strict";
  const EVERY = 2000;
  const SLOWEST = 30000;
  const SPEAK_EVERY = 10000;
  const speaker = document.getElementById("news");
  const hint = document.querySelector("[data-hint]");
  let timer = 0;
  let wait = EVERY;
  let spokeAt = Date.now();
  let busy = false;

  const block = () => document.getElementById("live");
  const running = () => block()?.dataset.running === "yes";

  function speak(text, now) {
    if (text && text !== speaker.textContent && (now || Date.now() - spokeAt >= SPEAK_EVERY)) {
      speaker.textContent = text;
      spokeAt = Date.now();
    }
  }

  // What the reader has opened, focused or scrolled stays so.
  function replace(fresh) {
    const old = block();
    if (old.outerHTML === fresh.outerHTML || document.getSelection()?.toString()) return;
    const opened = [...old.querySelectorAll("details[open][id]")].map((one) => one.id);
    const focus = document.activeElement;
    const address = old.contains(focus) ? focus.getAttribute("href") : null;
    old.replaceWith(fresh);
    opened.forEach((id) => { const one = document.getElementById(id); if (one) one.open = true; });
    if (address) [...fresh.querySelectorAll("a")].find((one) => one.getAttribute("href") === address)?.focus({ preventScroll: true });
  }

  function plan() {
    clearTimeout(timer);
    hint.hidden = !running();
    if (running() && !document.hidden) timer = setTimeout(refresh, wait);
  }

  async function refresh() {
    if (busy) return;
    busy = true;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" }, credentials: "same-origin" });
      if (!answer.ok) throw new Error(String(answer.status));
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.getElementById("live");
      if (!fresh) throw new Error("no live part");
      replace(fresh);
      speak(fresh.dataset.news, fresh.dataset.running !== "yes");
      wait = EVERY;
    } catch {
      wait = Math.min(wait * 2, SLOWEST); // the hub may be restarting
    }
    busy = false;
    plan();
  }

  document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : running() && refresh()));
  plan();
})();
