// Runs a bundle with its compiled code kept beside it: `node boot.cjs <bundle> …`. Half of the start of a process.
const { existsSync, readFileSync, writeFileSync } = require("node:fs")
const { createRequire, wrap } = require("node:module")
const { dirname } = require("node:path")
const { Script } = require("node:vm")

const file = process.argv[2]
const cache = `${file}.cache`
const cachedData = existsSync(cache) ? readFileSync(cache) : undefined
const script = new Script(wrap(readFileSync(file, "utf8")), { filename: file, cachedData })
const module_ = { exports: {} }
script.runInThisContext()(module_.exports, createRequire(file), module_, file, dirname(file))
if (process.env.KEEP_COMPILED === "1") process.once("exit", () => writeFileSync(cache, script.createCachedData()))
