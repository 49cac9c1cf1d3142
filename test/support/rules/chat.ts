/**
 * The rules of OpenAI's Chat Completions API for a request body, strictly: what the servers that speak it agree on.
 */
import { type Fields, Findings, imageTypes } from "./Findings.js"

const toolName = /^[a-zA-Z0-9_-]{1,64}$/
/** The longest call id that is taken back. */
const maxId = 40

/** What is wrong with a body. */
export const chatProblems = (body: unknown): ReadonlyArray<string> => {
  const findings = new Findings()
  new Check(findings).body(findings.fields(body, "body"))
  return findings.found
}

class Check {
  private readonly ids = new Set<string>()
  /** Calls of the last reply that no message has answered. */
  private waiting: Array<string> = []
  private usesTools = false

  constructor(private readonly findings: Findings) {}

  body(body: Fields): void {
    const { findings } = this
    findings.text(body["model"], "model")
    const messages = findings.list(body["messages"], "messages").map((it, i) => findings.fields(it, `messages.${i}`))
    if (messages.length === 0) findings.add("messages", "none")
    for (const [i, message] of messages.entries()) this.message(message, messages[i - 1], `messages.${i}`)
    this.allAnswered("messages")
    if (!messages.some((it) => it["role"] === "user")) findings.add("messages", "nothing of the user")
    if (messages.at(-1)?.["role"] === "assistant") findings.add("messages", "the last message is a reply")
    this.tools(body["tools"])
  }

  private message(message: Fields, before: Fields | undefined, where: string): void {
    const { findings } = this
    const role = String(message["role"])
    if (role !== "tool") this.allAnswered(where)
    switch (role) {
      case "system":
      case "developer":
        if (before !== undefined && before["role"] !== role) findings.add(where, "instructions in the middle")
        return this.texts(message["content"], where)
      case "user":
        return this.user(message["content"], where)
      case "assistant":
        return this.assistant(message, where)
      case "tool":
        return this.result(message, before, where)
      default:
        return findings.add(where, `the role ${role}`)
    }
  }

  private allAnswered(where: string): void {
    for (const id of this.waiting) this.findings.add(where, `no tool message for ${id}`)
    this.waiting = []
  }

  private texts(content: unknown, where: string): void {
    const { findings } = this
    if (typeof content === "string") return findings.text(content, where)
    const parts = findings.list(content, where)
    if (parts.length === 0) findings.add(where, "empty content")
    for (const [i, value] of parts.entries()) {
      const part = findings.fields(value, `${where}.${i}`)
      if (part["type"] === "text") findings.text(part["text"], `${where}.${i}`)
      else findings.add(`${where}.${i}`, `the part ${String(part["type"])}`)
    }
  }

  private user(content: unknown, where: string): void {
    const { findings } = this
    if (typeof content === "string") return findings.text(content, where)
    const parts = findings.list(content, where)
    if (parts.length === 0) findings.add(where, "empty content")
    for (const [i, value] of parts.entries()) {
      const at = `${where}.${i}`
      const part = findings.fields(value, at)
      if (part["type"] === "text") findings.text(part["text"], at)
      else if (part["type"] === "image_url") this.image(findings.fields(part["image_url"], at)["url"], at)
      else findings.add(at, `the part ${String(part["type"])}`)
    }
  }

  private image(url: unknown, at: string): void {
    const { findings } = this
    if (typeof url !== "string") return findings.add(at, "an image without a place")
    if (!url.startsWith("data:")) return
    const [, type, data] = /^data:([^;,]*);base64,(.*)$/s.exec(url) ?? []
    if (type === undefined || !imageTypes.includes(type)) findings.add(at, `an image of the type ${String(type)}`)
    findings.base64(data, at)
  }

  private assistant(message: Fields, where: string): void {
    const { findings, ids } = this
    const { content, tool_calls: calls } = message
    if (content !== undefined && content !== null) this.texts(content, where)
    if (calls === undefined) {
      if (content === undefined || content === null) findings.add(where, "neither content nor calls")
      return
    }
    this.usesTools = true
    const list = findings.list(calls, where)
    if (list.length === 0) findings.add(where, "an empty list of calls")
    for (const [i, value] of list.entries()) {
      const at = `${where}.tool_calls.${i}`
      const { function: called, id, type } = findings.fields(value, at)
      const { arguments: args, name } = findings.fields(called, at)
      if (type !== "function") findings.add(at, `a call of the type ${String(type)}`)
      if (typeof id !== "string" || id === "" || id.length > maxId) findings.add(at, `the call id ${String(id)}`)
      else if (ids.has(id)) findings.add(at, `two calls have the id ${id}`)
      else {
        ids.add(id)
        this.waiting.push(id)
      }
      if (typeof name !== "string" || !toolName.test(name)) findings.add(at, `the tool name ${String(name)}`)
      findings.arguments(args, at)
    }
  }

  /** Tool messages stand directly after the reply whose calls they answer, one for each. */
  private result(message: Fields, before: Fields | undefined, where: string): void {
    const { findings } = this
    const id = String(message["tool_call_id"])
    const follows =
      before?.["role"] === "tool" || (before?.["role"] === "assistant" && before["tool_calls"] !== undefined)
    const at = this.waiting.indexOf(id)
    if (!follows || at < 0) findings.add(where, `a result for ${id}, which nothing before it waits for`)
    else this.waiting.splice(at, 1)
    if (typeof message["content"] === "string") {
      if (!message["content"].isWellFormed()) findings.add(where, "half a character")
    } else this.texts(message["content"], where)
  }

  private tools(tools: unknown): void {
    const { findings } = this
    if (tools === undefined) {
      if (this.usesTools) findings.add("tools", "none, and the history has calls")
      return
    }
    const names = new Set<string>()
    const list = findings.list(tools, "tools")
    if (list.length === 0) findings.add("tools", "an empty list")
    for (const [i, value] of list.entries()) {
      const tool = findings.fields(value, `tools.${i}`)
      if (tool["type"] !== "function") findings.add(`tools.${i}`, `the type ${String(tool["type"])}`)
      const { name, parameters } = findings.fields(tool["function"], `tools.${i}`)
      findings.tool(name, parameters ?? { type: "object" }, toolName, names, `tools.${i}`)
    }
  }
}
