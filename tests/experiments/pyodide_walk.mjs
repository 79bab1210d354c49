// Runs tests/experiments/walk.py in Pyodide: node pyodide_walk.mjs FOLDER ARCHIVE WALK JOBS RESULT.
import { readFileSync, writeFileSync } from "node:fs";

const [folder, archive, walk, jobs, result] = process.argv.slice(2);
const { loadPyodide } = await import(`${folder}/pyodide.mjs`);
const python = await loadPyodide({ indexURL: folder, packages: ["numpy"] });
python.unpackArchive(new Uint8Array(readFileSync(archive)), "zip");
python.runPython(readFileSync(walk, "utf-8"));
writeFileSync(result, python.globals.get("walk")(readFileSync(jobs, "utf-8")));
