// Python of a page's own, one worker for all its labs. It loads nothing before the message "boot"; then it answers as a
// notebook's kernel does: see alignbook/experiments/in_the_page.py. A request advances a run by one short moment, and each
// message is a task of its own: so "stop" is heard between two moments, without memory shared with the page.
//
// in:  {kind: "boot", runtime, code, integrity, bytes} · {kind: "next" | "stop", lab, view, ...}
// out: {kind: "progress", loaded, total} ... · {kind: "ready"} · {kind: "frame", view, request, ...} · {kind: "failed", message}
// Addresses are relative to this file. After "failed" the worker is of no more use.

const TOLD_EVERY = 250_000; // bytes
let answer = null;
let forbidden = null;

self.addEventListener("securitypolicyviolation", ({ effectiveDirective, blockedURI }) => {
  forbidden = `The site's content security policy, ${effectiveDirective}, forbids ${blockedURI}.`;
});

self.onmessage = async ({ data: { kind, ...message } }) => {
  try {
    if (kind === "boot") {
      answer = await boot(message);
      postMessage({ kind: "ready" });
    } else {
      const reply = answer(JSON.stringify({ kind, ...message }));
      if (reply !== undefined) {
        postMessage({ kind: "frame", ...JSON.parse(reply) });
      }
    }
  } catch (error) {
    postMessage({ kind: "failed", message: forbidden ?? `${error.message ?? error}`.trim().split("\n").at(-1) });
  }
};

async function boot({ runtime, code, integrity, bytes }) {
  const indexURL = new URL(runtime, import.meta.url).href;
  return new Promise((resolve, reject) => {
    watch(bytes, reject); // Pyodide itself waits forever for a file that does not come
    load(indexURL, new URL(code, import.meta.url), integrity).then(resolve, reject);
  });
}

async function load(indexURL, code, integrity) {
  const archive = fetch(code, { integrity }).then((response) => response.arrayBuffer());
  const { loadPyodide } = await import(`${indexURL}pyodide.mjs`);
  const python = await loadPyodide({ indexURL, packages: ["numpy"] });
  python.unpackArchive(await archive, "zip");
  return python.pyimport("alignbook.experiments.in_the_page").answer;
}

// Counts what arrives, and tells of a file that does not or that is no code.
function watch(total, fail) {
  const { fetch: real, WebAssembly: { instantiateStreaming } } = self;
  let loaded = 0;
  let told = 0;
  async function count(reader) {
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      loaded += part.value.length;
      if (loaded - told >= TOLD_EVERY || loaded === total) {
        told = loaded;
        postMessage({ kind: "progress", loaded, total });
      }
    }
  }
  self.fetch = async (...request) => {
    const response = await real(...request).catch(() => null);
    if (!response?.ok) {
      const { host, pathname } = new URL(request[0], import.meta.url);
      const error = new Error(`${pathname.split("/").at(-1)} could not be loaded from ${host}.`);
      fail(error);
      throw error;
    }
    count(response.clone().body.getReader()).catch(fail);
    return response;
  };
  WebAssembly.instantiateStreaming = (...parts) => instantiateStreaming(...parts).catch((error) => {
    fail(error);
    throw error;
  });
}
