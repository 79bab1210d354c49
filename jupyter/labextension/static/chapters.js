// A chapter (chapters/NN_topic.md) opens as a notebook on a double click; every other .md file stays a page.
// JupyterLab's settings can name a viewer for all .md files only, hence this file type with a pattern of its own.
// It is written in the form of a built extension (a module federation container), so nothing needs building.
window._JUPYTERLAB = window._JUPYTERLAB || {};
window._JUPYTERLAB.alignbook = {
  init() {},
  async get() {
    const plugin = {
      id: "alignbook:chapters",
      autoStart: true,
      activate(app) {
        const { icon } = app.docRegistry.getFileType("notebook");
        const chapter = {
          name: "alignbook-chapter",
          displayName: "Chapter",
          contentType: "notebook",
          fileFormat: "json",
          extensions: [],
          pattern: "^\\d\\d_\\w+\\.md$",
          icon,
        };
        app.docRegistry.addFileType(chapter, ["Jupytext Notebook"]);
      },
    };
    return () => ({ __esModule: true, default: plugin });
  },
};
