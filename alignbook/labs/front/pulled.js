// A source of frames that Python computes on request, in a kernel or in a page's worker: one request at a time, so
// that a moved slider waits for one moment of the run before it and for no more.

// `post` sends {kind, view, request, settings, again}; whoever hears a reply hands it to receive().
function pulledSource(parameters, post) {
  const view = `${Math.random()}`;
  let wanted = 0;
  let requests = 0;
  let pending = Promise.resolve();
  let answer = () => {};

  function request(settings, again) {
    requests += 1;
    pending = new Promise((resolve) => { answer = resolve; });
    post({ kind: "next", view, request: requests, settings, again });
    return pending;
  }

  return {
    live: true,
    parameters,
    note: "",
    async run({ settings, anew }, onFrame) {
      const mine = (wanted += 1);
      for (let first = true; ; first = false) {
        await pending;
        if (mine !== wanted) {
          return;
        }
        const frame = await request(settings, first && anew);
        if (mine !== wanted) {
          return;
        }
        await onFrame(frame);
        if (frame.done || frame.error) {
          return;
        }
      }
    },
    receive(frame) {
      if (frame.view === view && frame.request === requests) {
        answer(frame);
      }
    },
    stop() {
      wanted += 1;
      post({ kind: "stop", view });
    },
  };
}
