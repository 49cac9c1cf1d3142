/**
 * Puts Baton into a copy of the peers' benchmark, as its users get it: packed, then installed from the tarball.
 *
 *     node test/bench/peers/setup.mjs <copy of the peers' folder>
 */
import { execFileSync } from "node:child_process"
import { copyFileSync, existsSync, mkdirSync, rmSync } from "node:fs"
import { dirname, join, resolve } from "node:path"
import { fileURLToPath } from "node:url"

const here = dirname(fileURLToPath(import.meta.url))
const root = resolve(here, "../../..")
const copy = process.argv[2] === undefined ? undefined : resolve(process.argv[2])
if (copy === undefined || !existsSync(join(copy, "worker.mjs"))) {
  console.error("usage: node test/bench/peers/setup.mjs <copy of the peers' folder>")
  process.exit(1)
}

const install = join(copy, "installs", "baton")
rmSync(install, { recursive: true, force: true })
mkdirSync(install, { recursive: true })
for (const file of ["package.json", "load.mjs"]) copyFileSync(join(here, "install", file), join(install, file))
copyFileSync(join(here, "baton.mjs"), join(copy, "adapters", "baton.mjs"))

/** Runs npm and gives what it prints. */
const npm = (cwd, ...args) =>
  execFileSync("npm", [...args, "--loglevel=error"], { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] })

// Packing builds first.
const tarball = npm(root, "pack", "--silent", "--pack-destination", install).trim().split("\n").at(-1)
npm(install, "install", `./${tarball}`, "--ignore-scripts", "--no-audit", "--no-fund")
console.log(`installed ${tarball} in ${install}`)
