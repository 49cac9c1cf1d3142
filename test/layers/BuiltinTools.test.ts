import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { ground } from "../support/tools.js"

describe("BuiltinTools", () => {
  it.scoped("are given to a model with what it must know", () =>
    Effect.gen(function* () {
      const { tools } = yield* ground({})
      assert.deepStrictEqual(
        tools.map(({ name }) => name),
        ["read", "write", "edit", "glob", "grep", "bash"]
      )
      for (const { description, inputSchema, name } of tools) {
        const schema = inputSchema as {
          type: string
          required: ReadonlyArray<string>
          properties: Record<string, { description?: string; type?: string }>
        }
        assert.strictEqual(schema.type, "object", name)
        assert.strictEqual(schema.required.length, { write: 2, edit: 3 }[name] ?? 1, name)
        for (const property of Object.values(schema.properties)) {
          assert.isString(property.description)
          assert.isString(property.type)
        }
        assert.isBelow(description.length, 500)
      }
    })
  )

  it.scoped("start from the folder of the call, and are kept inside the sandbox", () =>
    Effect.gen(function* () {
      const { use } = yield* ground({ "a.txt": "top", "sub/a.txt": "below" })
      assert.include(yield* use("read", { path: "a.txt" }, "sub"), "1\tbelow")
      assert.include(yield* use("read", { path: "../a.txt" }, "sub"), "1\ttop")
      assert.strictEqual(yield* use("glob", { pattern: "*" }, "sub"), "a.txt")
      assert.strictEqual(yield* use("glob", { pattern: "*", path: ".." }, "sub"), "../a.txt")
      assert.strictEqual(yield* use("grep", { pattern: "o" }, "sub"), "a.txt:1:below")
      assert.include(yield* use("bash", { command: "cat a.txt" }, "sub"), "below")
      assert.include(yield* use("bash", { command: "cat a.txt", cwd: ".." }, "sub"), "top")
      for (const [name, args] of [
        ["read", { path: "../x" }],
        ["write", { path: "../x", content: "" }],
        ["edit", { path: "/etc/passwd", oldText: "root", newText: "" }],
        ["glob", { pattern: "*", path: ".." }],
        ["glob", { pattern: "../*" }],
        ["glob", { pattern: "/etc/*" }],
        ["grep", { pattern: "x", path: "/etc" }],
        ["grep", { pattern: "root", path: "/etc/passwd" }],
        ["bash", { command: "true", cwd: "/" }]
      ] as const) {
        assert.match((yield* Effect.flip(use(name, args))).text, /leads out of the sandbox/, name)
      }
    })
  )
})
