import { SessionStore } from "effect-baton"
import { contract } from "../contracts/SessionStore.js"

contract("the memory store", () => SessionStore.layerMemory)
