// The stream of events. Read by fetch and not by EventSource, which does not tell why it was refused.

import { problem } from "./calls.js";

/** The server sends a comment every 15 s when there is nothing else. After so long without a byte nobody is there. */
const SILENCE = 25_000;

/** From one attempt to the next, milliseconds. */
const AGAIN = 1_000;
const FULL_AGAIN = 5_000;

const wait = (time) => new Promise((done) => setTimeout(done, time));

/** Resolves when the page can be seen. A browser has six connections to a server: hidden pages must not hold them. */
function seen() {
  if (!document.hidden) return Promise.resolve();
  return new Promise((done) => {
    document.addEventListener("visibilitychange", function look() {
      if (document.hidden) return;
      document.removeEventListener("visibilitychange", look);
      done();
    });
  });
}

/**
 * Listens as long as the page lives. `draw(name, data)` is called for each event, and with "away", "full" or "hidden". An error in it is
 * none of the stream: it goes to the console, and the next event is drawn again.
 */
export async function listen(url, draw) {
  const tell = (name, data) => {
    try {
      draw(name, data);
    } catch (error) {
      console.error(error);
    }
  };
  for (;;) {
    await seen();
    const stop = new AbortController();
    const hide = () => document.hidden && stop.abort();
    document.addEventListener("visibilitychange", hide);
    let pause = AGAIN;
    try {
      pause = await once(url, tell, stop);
    } catch {
      tell(document.hidden ? "hidden" : "away", null);
    }
    document.removeEventListener("visibilitychange", hide);
    if (!document.hidden) await wait(pause);
  }
}

/** One stream until it ends; how long to wait before the next. */
async function once(url, tell, stop) {
  let silence = setTimeout(() => stop.abort(), SILENCE);
  try {
    const response = await fetch(url, { signal: stop.signal, cache: "no-store" });
    if (!response.ok) {
      tell(response.status === 503 ? "full" : "away", await problem(response));
      return FULL_AGAIN;
    }
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let unread = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      clearTimeout(silence);
      silence = setTimeout(() => stop.abort(), SILENCE);
      const events = (unread + value).split("\n\n");
      unread = events.pop();
      for (const event of events) hand(event, tell);
    }
    tell("away", null);
    return AGAIN;
  } finally {
    clearTimeout(silence);
    stop.abort();
  }
}

function hand(text, tell) {
  const fields = new Map(text.split("\n").map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trim()]));
  if (fields.has("event") && fields.has("data")) tell(fields.get("event"), JSON.parse(fields.get("data")));
}
