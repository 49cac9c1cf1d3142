// Type-checks every ```ts block of README.md and docs/**/*.md. A block stands alone, unless its fence says
// ```ts continues: then it follows the blocks before it, back to one that stands alone.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { tsc } from "./tsc.mjs"

const out = ".cache/docs"
const pages = ["README.md"]
if (existsSync("docs")) {
  for (const file of readdirSync("docs", { recursive: true })) if (file.endsWith(".md")) pages.push(join("docs", file))
}

rmSync(out, { recursive: true, force: true })
mkdirSync(out, { recursive: true })
writeFileSync(
  join(out, "tsconfig.json"),
  JSON.stringify({
    extends: "../../tsconfig.json",
    compilerOptions: { noUnusedLocals: false },
    include: ["*.ts"]
  })
)

// Each block keeps its line numbers: a written file is as long as its page, with all other lines empty.
const written = new Map()
const failures = []
for (const page of pages.filter((page) => existsSync(page))) {
  const lines = readFileSync(page, "utf8").split("\n")
  let fence
  let kept = lines.map(() => "")
  lines.forEach((line, index) => {
    const [, indent, ticks, info] = /^(\s*)(`{3,}|~{3,})\s*(.*?)\s*$/.exec(line) ?? []
    if (fence === undefined) {
      if (ticks === undefined) return
      const [language, ...words] = info.split(/\s+/)
      fence = { ticks, indent, start: index, isTs: language === "ts" || language === "typescript" }
      if (fence.isTs && !words.includes("continues")) kept = lines.map(() => "")
    } else if (ticks !== undefined && info === "" && ticks.startsWith(fence.ticks)) {
      if (fence.isTs) {
        const name = `${page.replace(/[^A-Za-z0-9]+/g, "-")}-${fence.start + 1}.ts`
        written.set(name, page)
        writeFileSync(join(out, name), kept.join("\n"))
      }
      fence = undefined
    } else if (fence.isTs) {
      kept[index] = line.startsWith(fence.indent) ? line.slice(fence.indent.length) : line
    }
  })
  if (fence !== undefined) failures.push(`${page}:${fence.start + 1} this block is never closed`)
}

if (written.size > 0) {
  const { output, status } = tsc(["-p", out, "--pretty", "false"])
  const located = output.replace(/^\.cache\/docs\/([^(]+)\((\d+),(\d+)\): /gm, (_, name, line, column) => {
    return `${written.get(name)}:${line}:${column} `
  })
  if (status !== 0) failures.push(...located.trim().split("\n"))
}
for (const failure of new Set(failures)) console.error(failure)
console.log(`${written.size} blocks of ${pages.length} pages checked`)
if (failures.length > 0) process.exitCode = 1
