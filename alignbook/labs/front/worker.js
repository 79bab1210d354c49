// Python of a page's own, one worker for all its labs. It loads nothing before the message "boot"; then it answers as a
// notebook's kernel does: see alignbook/experiments/in_the_page.py. A request advances a run by one short moment, and each
// message is a task of its own: so "stop" is heard between two moments, without memory shared with the page.
//
// in:  {kind: "boot", runtime, code, integrity, bytes} · {kind: "next" | "stop", lab, view, ...}
// out: {kind: "progress", loaded, total} ... · {kind: "ready"} · {kind: "frame", view, request, ...} · {kind: "failed", message}
// Addresses are relative to this file. After "failed" the worker is gone.

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
    await new Promise((resolve) => { setTimeout(resolve, 50); }); // word of a policy comes after its error
    postMessage({ kind: "failed", message: forbidden ?? `${error.message ?? error}`.trim().split("\n").at(-1) });
    self.close();
  }
};

function boot({ runtime, code, integrity, bytes }) {
  const [indexURL, archive] = [runtime, code].map((address) => new URL(address, import.meta.url).href);
  return new Promise((resolve, reject) => {
    watch(bytes, reject); // Pyodide itself waits forever for a file that does not come
    Promise.all([loadPython(indexURL), fetch(archive, { integrity }).then((response) => response.arrayBuffer())])
      .then(([python, content]) => {
        python.unpackArchive(content, "zip");
        return python.pyimport("alignbook.experiments.in_the_page").answer;
      })
      .then(resolve, reject);
  });
}

async function loadPython(indexURL) {
  const { loadPyodide } = await import(`${indexURL}pyodide.mjs`);
  return loadPyodide({ indexURL, packages: ["numpy"] });
}

// Counts what arrives, and tells of all that fails while Pyodide starts.
function watch(total, fail) {
  const { fetch: real, WebAssembly: { instantiateStreaming } } = self;
  self.addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    fail(event.reason);
  });
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
    count(response.clone().body.getReader());
    return response;
  };
  WebAssembly.instantiateStreaming = (...parts) => instantiateStreaming(...parts).catch((error) => {
    fail(error);
    throw error;
  });
}
