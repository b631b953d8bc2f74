// Reads the event stream. It uses fetch, since EventSource does not show the answer of a refused request.

import { problemDetail } from "./api.js";

/** The monitor sends a comment every 15 s without an event. After this time without a byte the connection is lost; milliseconds. */
const SILENCE_TIMEOUT = 25_000;

/** Delay before the next attempt, milliseconds. */
const RETRY_DELAY = 1_000;
const REFUSED_RETRY_DELAY = 5_000;

const sleep = (time) => new Promise((done) => setTimeout(done, time));

/** Resolves when the page is visible. A browser has six connections to a server, so hidden pages must not use them. */
function visible() {
  if (!document.hidden) return Promise.resolve();
  return new Promise((done) => {
    document.addEventListener("visibilitychange", function onChange() {
      if (document.hidden) return;
      document.removeEventListener("visibilitychange", onChange);
      done();
    });
  });
}

/**
 * Reads the stream for the lifetime of the page, and reconnects when it ends. `onEvent(name, data)` is called for each event, and
 * with "unreachable" or "refused" and the monitor's explanation, or with "hidden". An error in `onEvent` is logged, and the stream continues.
 */
export async function listen(url, onEvent) {
  const emit = (name, data) => {
    try {
      onEvent(name, data);
    } catch (error) {
      console.error(error);
    }
  };
  for (;;) {
    await visible();
    const abort = new AbortController();
    const onHide = () => document.hidden && abort.abort();
    document.addEventListener("visibilitychange", onHide);
    let delay = RETRY_DELAY;
    try {
      delay = await readStream(url, emit, abort);
    } catch {
      emit(document.hidden ? "hidden" : "unreachable", null);
    }
    document.removeEventListener("visibilitychange", onHide);
    if (!document.hidden) await sleep(delay);
  }
}

/** Reads one stream until it ends. Returns the delay before the next attempt. */
async function readStream(url, emit, abort) {
  let silence = setTimeout(() => abort.abort(), SILENCE_TIMEOUT);
  try {
    const response = await fetch(url, { signal: abort.signal, cache: "no-store" });
    if (!response.ok) {
      emit(response.status === 503 ? "refused" : "unreachable", await problemDetail(response));
      return REFUSED_RETRY_DELAY;
    }
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let buffer = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      clearTimeout(silence);
      silence = setTimeout(() => abort.abort(), SILENCE_TIMEOUT);
      const events = (buffer + value).split("\n\n");
      buffer = events.pop();
      for (const event of events) emitEvent(event, emit);
    }
    emit("unreachable", null);
    return RETRY_DELAY;
  } finally {
    clearTimeout(silence);
    abort.abort();
  }
}

function emitEvent(text, emit) {
  const fields = new Map(text.split("\n").map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trim()]));
  if (fields.has("event") && fields.has("data")) emit(fields.get("event"), JSON.parse(fields.get("data")));
}
