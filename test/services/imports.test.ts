import { assert, describe, it } from "@effect/vitest"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { dirname, join, relative, resolve } from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("../..", import.meta.url))

/** What a module loads when it is loaded. A type alone loads nothing, nor does an import that is made later. */
const statement = /^(?:import|export)\s+(?!type\b)(?:[\w*${}\s,]+?\sfrom\s+)?["']([^"']+)["']/gm

const importsOf = (file: string): ReadonlyArray<string> =>
  [...readFileSync(file, "utf8").matchAll(statement)].map((match) => match[1] ?? "")

/** The file behind a specifier: our sources and the modules of `effect` are walked through, the rest is named. */
const fileOf = (from: string, specifier: string): string | undefined => {
  if (specifier.startsWith(".")) {
    const file = resolve(dirname(from), specifier)
    return from.endsWith(".ts") ? file.replace(/\.js$/, ".ts") : file
  }
  const own = /^effect\/(\w+)$/.exec(specifier)
  return own === null ? undefined : join(root, "node_modules/effect/dist/esm", `${own[1]}.js`)
}

/** Everything that loading `roots` loads: files under the root, and packages by their names. */
const loadedBy = (roots: ReadonlyArray<string>): ReadonlySet<string> => {
  const loaded = new Set<string>()
  const walk = (file: string): void => {
    const name = relative(root, file)
    if (loaded.has(name)) return
    loaded.add(name)
    for (const specifier of importsOf(file)) {
      const next = fileOf(file, specifier)
      if (next === undefined) loaded.add(specifier)
      else walk(next)
    }
  }
  for (const file of roots) walk(join(root, file))
  return loaded
}

const schema = "node_modules/effect/dist/esm/Schema.js"

const heavy = (loaded: ReadonlySet<string>): ReadonlyArray<string> =>
  [...loaded].filter((name) => name === schema || name === "fast-check" || name.startsWith("@effect/"))

describe("what is loaded", () => {
  const services = readdirSync(join(root, "src/services"), { recursive: true, encoding: "utf8" }).filter(
    (file) => file.endsWith(".ts") && file !== "Entry.ts" && file !== "Record.ts"
  )

  it("by the services: neither effect/Schema nor fast-check", () => {
    const loaded = loadedBy(services.map((file) => `src/services/${file}`))
    assert.isTrue(loaded.has("node_modules/effect/dist/esm/ParseResult.js"))
    assert.deepStrictEqual(heavy(loaded), [])
    assert.isFalse(loaded.has("src/services/Entry.ts"))
    assert.isFalse(loaded.has("src/services/Record.ts"))
  })

  it.skipIf(!existsSync(join(root, "src/index.ts")))("by the package itself: neither of them", () => {
    assert.deepStrictEqual(heavy(loadedBy(["src/index.ts"])), [])
  })

  it("by the format's schemas: both, so that this test would see them", () => {
    const loaded = loadedBy(["src/schema.ts"])
    assert.isTrue(loaded.has(schema))
    assert.isTrue(loaded.has("fast-check"))
  })

  it("by what histories are taken elsewhere with: the schemas, and no store, no model, no engine", () => {
    const loaded = loadedBy(["src/history.ts"])
    assert.isTrue(loaded.has(schema))
    assert.deepStrictEqual(
      [...loaded].filter((name) => name.startsWith("src/layers/") || name.startsWith("@effect/")),
      []
    )
  })

  it("by the models over @effect/ai: no provider", () => {
    const providers = [...loadedBy(["src/ai.ts"])].filter((name) =>
      /ai-(anthropic|openai)|Anthropic|OpenAi|Compatible/.test(name)
    )
    assert.deepStrictEqual(providers, [])
  })

  it("by the stores over SQL, before their layers are built: no client, no driver, no schema", () => {
    for (const entry of ["src/sql.ts", "src/sqlite.ts"]) {
      const loaded = loadedBy([entry])
      assert.isTrue(loaded.has("src/layers/SqlSessionStore.ts"))
      assert.deepStrictEqual(heavy(loaded), [])
      assert.isFalse(loaded.has("libsql"))
    }
    assert.isTrue(loadedBy(["src/layers/sql/store.ts"]).has(schema))
  })

  it("by the virtual sandbox, before its layer is built: no shell, no schema", () => {
    const loaded = loadedBy(["src/virtual.ts"])
    assert.isTrue(loaded.has("src/layers/virtual/Thread.ts"))
    assert.deepStrictEqual(heavy(loaded), [])
    assert.isFalse(loaded.has("just-bash"))
    assert.isFalse(loaded.has("src/layers/virtual/guest.ts"))
  })

  it("by the thread of the virtual sandbox: nothing of Effect", () => {
    const loaded = loadedBy(["src/layers/virtual/guest.ts"])
    assert.isTrue(loaded.has("src/layers/sandbox/rules.ts"))
    assert.deepStrictEqual(
      [...loaded].filter((name) => name.startsWith("node_modules/")),
      []
    )
  })

  it("by the testing kit: neither of them, no test runner, and nothing of it by the package itself", () => {
    const loaded = loadedBy(["src/testing.ts"])
    assert.isTrue(loaded.has("src/layers/testing/Laws.ts"))
    assert.deepStrictEqual(heavy(loaded), [])
    assert.deepStrictEqual(
      [...loaded].filter((name) => name.includes("vitest")),
      []
    )
    assert.deepStrictEqual(
      [...loadedBy(["src/index.ts"])].filter((name) => name.includes("/testing/")),
      []
    )
  })
})
