/**
 * The examples of the documentation do what they say.
 */
import * as fs from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { Model, Script } from "effect-baton"
import { triage } from "../docs/examples/triage.js"

const call = Script.call

describe("docs/examples/triage.ts", () => {
  it("has fewer than 50 lines", () => {
    const file = fs.readFileSync(new URL("../docs/examples/triage.ts", import.meta.url), "utf8")
    assert.isBelow(file.trimEnd().split("\n").length, 50)
  })

  it.effect("loads its skill, delegates to both subagents, and its sandbox really changes", () => {
    const told: Array<string> = []
    const requests: Array<Model.ModelRequest> = []
    const remember = (view: Script.View) => {
      requests.push(view.request)
      told.push(...view.results.map(({ text }) => text))
    }
    const step = (turn: Script.Turn | string) => (view: Script.View) => {
      remember(view)
      return turn
    }
    const fix = { path: "run.sh", oldText: "1 / 0", newText: "1 / 1" }
    const script = [
      Script.on(
        "Find it",
        step(Script.calls(call("grep", { pattern: "/ 0" }))),
        step({ text: "run.sh:1 divides by nothing" })
      ),
      Script.on(
        "Fix it",
        step(Script.calls(call("edit", fix))),
        step(Script.calls(call("bash", { command: "bash run.sh" }))),
        step("It prints 1.")
      ),
      Script.on(
        "crashes",
        step(Script.calls(call("activate_skill", { name: "labels" }))),
        step(Script.calls(call("read_skill_resource", { skill: "labels", path: "labels.md" }))),
        step(Script.calls(Script.task("Find it", { agent: "reader" }))),
        step(Script.calls(Script.task("Fix it", { agent: "fixer" }))),
        step("bug, crash")
      )
    ]
    return Effect.gen(function* () {
      assert.strictEqual(yield* triage("run.sh crashes"), "bug, crash")
      const [loaded, labels, found, , ran, ...rest] = told
      assert.include(loaded, "Something that stops working is a `bug`")
      assert.include(labels, "crash: it ends the program")
      assert.include(found, "run.sh")
      assert.match(ran!, /^.*/)
      assert.include(told.join("\n"), "1\n[Exit code 0.]")
      assert.include(rest.join("\n"), "It prints 1.")
      const [first] = requests
      assert.include(first!.instructions, "Every script ends with exit code 0.")
      assert.include(first!.instructions, "- labels: Which labels an issue gets.")
      assert.include(first!.tools[0]!.description, "- reader: Reads the sources")
      assert.include(first!.tools[0]!.description, "- fixer: Changes a file")
    }).pipe(Effect.provide(Layer.fresh(Model.layerScripted(script))))
  })
})
