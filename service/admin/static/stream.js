// Server-sent events over fetch: EventSource cannot send the Authorization header.

const SILENT_MS = 12_000; // the service says something at least every 5 s
const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 5000;

/**
 * Reads the stream at `url` for as long as the page lives, and begins anew when it breaks.
 * Calls `event(name, value)`, and `state(word)`: `live`, `cut`, `crowded`; `locked` ends it.
 */
export async function read(url, token, event, state) {
  let pause = FIRST_PAUSE_MS;
  for (;;) {
    const ended = await once(url, token, event, (word) => {
      if (word === "live") pause = FIRST_PAUSE_MS;
      state(word);
    });
    if (ended === "locked") return;
    await new Promise((resolve) => setTimeout(resolve, ended === "crowded" ? LONGEST_PAUSE_MS : pause));
    pause = Math.min(LONGEST_PAUSE_MS, pause * 1.5);
  }
}

async function once(url, token, event, state) {
  const stop = new AbortController();
  let watchdog = setTimeout(() => stop.abort(), SILENT_MS);
  const heard = () => {
    clearTimeout(watchdog);
    watchdog = setTimeout(() => stop.abort(), SILENT_MS);
  };
  try {
    const headers = token ? { Authorization: `Bearer ${token}` } : {};
    const answer = await fetch(url, { headers, cache: "no-store", signal: stop.signal });
    if (answer.status === 401) return told(state, "locked");
    if (answer.status === 503) return told(state, "crowded");
    if (!answer.ok) return told(state, "cut");
    state("live");
    await each(answer.body, heard, event);
  } catch (error) {
    // a network that breaks is what reconnecting is for; anything else is a defect of this page
    if (!(error instanceof TypeError) && error.name !== "AbortError") console.error(error);
  } finally {
    clearTimeout(watchdog);
    stop.abort();
  }
  return told(state, "cut");
}

function told(state, word) {
  state(word);
  return word;
}

async function each(body, heard, event) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    heard();
    const parts = (rest + value).split("\n\n");
    rest = parts.pop();
    for (const part of parts) {
      const found = /^event: (.*)\ndata: (.*)$/.exec(part);
      if (found) event(found[1], JSON.parse(found[2]));
    }
  }
}
