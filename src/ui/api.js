// Talks to the service that this page came from: requests with the token, and its events as they
// come. EventSource can't send a header, so events are read from a fetch.

const KEY = "mapek.token";

export class Problem extends Error {
  constructor(status, answer) {
    super(answer?.error ?? `the service answered with status ${status}`);
    this.status = status;
    this.details = Array.isArray(answer?.details) ? answer.details : [];
  }
}

export const token = {
  get: () => sessionStorage.getItem(KEY),
  set: (value) => sessionStorage.setItem(KEY, value),
  forget: () => sessionStorage.removeItem(KEY),
};

function headers(more = {}) {
  const secret = token.get();
  return secret ? { ...more, authorization: `Bearer ${secret}` } : more;
}

export async function ask(method, path, body) {
  const answer = await fetch(path, {
    method,
    headers: headers(body === undefined ? {} : { "content-type": "application/json" }),
    body,
    cache: "no-cache",
    credentials: "omit",
  });
  const text = await answer.text();
  let content;
  try {
    content = JSON.parse(text);
  } catch {
    content = null;
  }
  if (!answer.ok) throw new Problem(answer.status, content);
  return content;
}

// Calls `told` for each event, for ever: a connection that breaks is made again, and goes on
// after the last event. `state` is told "live", "waiting" or a Problem that no waiting helps.
export async function follow(told, state) {
  let last = null;
  let journal = null;
  for (;;) {
    try {
      const answer = await fetch(journal === null ? "/api/events" : `/api/events?journal=${encodeURIComponent(journal)}`, {
        headers: headers(last === null ? {} : { "last-event-id": last }),
        cache: "no-store",
        credentials: "omit",
      });
      if (!answer.ok) throw new Problem(answer.status, await answer.json().catch(() => null));
      journal = answer.headers.get("mapek-journal");
      state("live");
      for await (const event of read(answer.body)) {
        if (event.id !== null) last = event.id;
        if (event.data !== null) told(event.data);
      }
      state("waiting");
    } catch (problem) {
      if (problem instanceof Problem && problem.status < 500) {
        state(problem);
        return;
      }
      state("waiting");
    }
    await new Promise((done) => setTimeout(done, 1000));
  }
}

// The events in a stream of bytes.
async function* read(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let pending = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    pending += value;
    const blocks = pending.split("\n\n");
    pending = blocks.pop();
    for (const block of blocks) {
      const event = { id: null, data: null };
      for (const line of block.split("\n")) {
        if (line.startsWith("id: ")) event.id = line.slice(4);
        if (line.startsWith("data: ")) event.data = (event.data ?? "") + line.slice(6);
      }
      if (event.data !== null) {
        try {
          event.data = JSON.parse(event.data);
        } catch {
          event.data = null;
        }
      }
      yield event;
    }
  }
}
