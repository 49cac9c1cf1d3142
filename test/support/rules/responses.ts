/**
 * The rules of OpenAI's Responses API for a request body, strictly.
 */
import { type Fields, Findings, imageTypes } from "./Findings.js"

const toolName = /^[a-zA-Z0-9_-]{1,64}$/
/** The longest id that is taken back, of calls and of items. */
const maxId = 64
const prefixes: Readonly<Record<string, string>> = { function_call: "fc", reasoning: "rs", message: "msg" }

/** What came of one response, in order: the ids of its items. */
export type Items = ReadonlyArray<ReadonlyArray<string>>

/**
 * What is wrong with a body. With `items`, reasoning that does not stand before what it led to, and what was sent
 * without the reasoning that led to it, is told too.
 */
export const responsesProblems = (body: unknown, items?: Items): ReadonlyArray<string> => {
  const findings = new Findings()
  new Check(findings, items).body(findings.fields(body, "body"))
  return findings.found
}

class Check {
  private readonly ids = new Set<string>()

  constructor(
    private readonly findings: Findings,
    private readonly items: Items | undefined
  ) {}

  body(body: Fields): void {
    const { findings } = this
    findings.text(body["model"], "model")
    const input = findings.list(body["input"], "input").map((it, i) => findings.fields(it, `input.${i}`))
    if (input.length === 0) findings.add("input", "none")
    for (const [i, item] of input.entries()) this.item(item, input[i + 1], body, `input.${i}`)
    this.calls(input)
    if (this.items !== undefined) this.together(input, this.items)
    const most = body["max_output_tokens"]
    // The least that the API takes.
    if (most !== undefined && most !== null && (typeof most !== "number" || most < 16)) {
      findings.add("max_output_tokens", String(most))
    }
    this.tools(body["tools"])
  }

  private item(item: Fields, next: Fields | undefined, body: Fields, where: string): void {
    const { findings } = this
    const type = typeOf(item)
    this.id(item, type, where)
    switch (type) {
      case "message":
        return this.message(item, where)
      case "function_call":
        if (typeof item["name"] !== "string" || !toolName.test(item["name"])) {
          findings.add(where, `the tool name ${String(item["name"])}`)
        }
        return findings.arguments(item["arguments"], where)
      case "function_call_output": {
        const { output } = item
        if (typeof output === "string") {
          if (!output.isWellFormed()) findings.add(where, "half a character")
        } else if (findings.list(output, where).length === 0) findings.add(where, "an empty output")
        return
      }
      case "reasoning": {
        findings.list(item["summary"], `${where}.summary`)
        if (typeof item["id"] !== "string") findings.add(where, "reasoning without an id")
        if (body["store"] === false && typeof item["encrypted_content"] !== "string") {
          findings.add(where, "reasoning that is not stored and brings no content")
        }
        const follows = next === undefined ? undefined : typeOf(next)
        const own = follows === "message" ? next?.["role"] === "assistant" : follows !== "function_call_output"
        if (follows === undefined || !own) findings.add(where, "reasoning without what it led to")
        return
      }
      default:
        return findings.add(where, `the item ${type}`)
    }
  }

  private id({ id }: Fields, type: string, where: string): void {
    if (id === undefined || id === null) return
    const prefix = prefixes[type]
    if (typeof id !== "string" || id === "" || id.length > maxId) this.findings.add(where, `the id ${String(id)}`)
    else if (prefix !== undefined && !id.startsWith(prefix)) this.findings.add(where, `the id ${id} of a ${type}`)
    else if (this.ids.has(id)) this.findings.add(where, `two items have the id ${id}`)
    else this.ids.add(id)
  }

  private message(item: Fields, where: string): void {
    const { findings } = this
    const role = String(item["role"])
    if (!["user", "assistant", "system", "developer"].includes(role)) findings.add(where, `the role ${role}`)
    if (typeof item["content"] === "string") return findings.text(item["content"], where)
    const content = findings.list(item["content"], where)
    if (content.length === 0) findings.add(where, "empty content")
    for (const [i, value] of content.entries()) {
      const at = `${where}.${i}`
      const part = findings.fields(value, at)
      const reply = part["type"] === "output_text" || part["type"] === "refusal"
      if (reply !== (role === "assistant")) findings.add(at, `the part ${String(part["type"])} of the role ${role}`)
      switch (part["type"]) {
        case "input_text":
        case "output_text":
          findings.text(part["text"], at)
          break
        case "refusal":
          findings.text(part["refusal"], at)
          break
        case "input_image":
          this.image(part["image_url"], part["file_id"], at)
          break
        default:
          findings.add(at, `the part ${String(part["type"])}`)
      }
    }
  }

  private image(url: unknown, file: unknown, at: string): void {
    const { findings } = this
    if (typeof url !== "string")
      return typeof file === "string" ? undefined : findings.add(at, "an image without a place")
    if (!url.startsWith("data:")) return
    const [, type, data] = /^data:([^;,]*);base64,(.*)$/s.exec(url) ?? []
    if (type === undefined || !imageTypes.includes(type)) findings.add(at, `an image of the type ${String(type)}`)
    findings.base64(data, at)
  }

  /** Each call has one output, after it, and each output its call. */
  private calls(input: ReadonlyArray<Fields>): void {
    const { findings } = this
    const called = new Map<string, boolean>()
    for (const [i, item] of input.entries()) {
      const where = `input.${i}`
      const type = typeOf(item)
      if (type !== "function_call" && type !== "function_call_output") continue
      const id = item["call_id"]
      if (typeof id !== "string" || id === "" || id.length > maxId) findings.add(where, `the call id ${String(id)}`)
      else if (type === "function_call") {
        if (called.has(id)) findings.add(where, `two calls have the id ${id}`)
        else called.set(id, false)
      } else if (!called.has(id)) findings.add(where, `an output for ${id}, which nothing before it calls`)
      else if (called.get(id) === true) findings.add(where, `two outputs for ${id}`)
      else called.set(id, true)
    }
    for (const [id, answered] of called) if (!answered) findings.add("input", `no output for ${id}`)
  }

  /** What one response brought goes back together: reasoning and the item after it need each other. */
  private together(input: ReadonlyArray<Fields>, items: Items): void {
    const { findings } = this
    const places = new Map(
      input.flatMap((item, i) => (typeof item["id"] === "string" ? [[item["id"], i] as const] : []))
    )
    for (const response of items) {
      for (const [i, id] of response.entries()) {
        const after = response[i + 1]
        if (!id.startsWith("rs") || after === undefined) continue
        const [at, then] = [places.get(id), places.get(after)]
        if (at === undefined && then !== undefined)
          findings.add(`input.${then}`, `${after} without its reasoning ${id}`)
        if (at !== undefined && then !== at + 1)
          findings.add(`input.${at}`, `reasoning ${id} without ${after} after it`)
      }
    }
  }

  private tools(tools: unknown): void {
    if (tools === undefined || tools === null) return
    const names = new Set<string>()
    for (const [i, value] of this.findings.list(tools, "tools").entries()) {
      const tool = this.findings.fields(value, `tools.${i}`)
      if (tool["type"] !== "function") this.findings.add(`tools.${i}`, `the type ${String(tool["type"])}`)
      this.findings.tool(tool["name"], tool["parameters"], toolName, names, `tools.${i}`)
    }
  }
}

const typeOf = (item: Fields): string =>
  item["type"] === undefined && "role" in item ? "message" : String(item["type"])
