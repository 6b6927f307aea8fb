// Sends one order through a client library, and lets it do what it does for some seconds.
import fs from 'node:fs'

const [library, url, file, seconds] = process.argv.slice(2)
const { headers, body } = JSON.parse(fs.readFileSync(file, 'utf8'))
const init = { method: 'POST', headers: { ...headers, 'content-type': 'application/json' }, body: JSON.stringify(body) }
setTimeout(() => process.exit(0), 1000 * seconds)
// What a library makes of the end of a stream is looked at where the orders arrive.
process.on('unhandledRejection', () => {})
const ignore = () => {}

const send = {
  async fetch() {
    for await (const _ of (await fetch(url, init)).body) ignore()
  },
  async eventsource() {
    const { EventSource } = await import('eventsource')
    const posting = (to, given) => fetch(to, { ...given, ...init, headers: { ...given.headers, ...init.headers } })
    new EventSource(url, { fetch: posting }).onerror = ignore
  },
  async 'eventsource-client'() {
    const { createEventSource } = await import('eventsource-client')
    createEventSource({ url, ...init })
  },
  async '@microsoft/fetch-event-source'() {
    // It is made for pages; these are the parts of a page that it asks for.
    globalThis.window = { setTimeout, clearTimeout, fetch }
    globalThis.document = { hidden: false, addEventListener: ignore, removeEventListener: ignore }
    const { fetchEventSource } = await import('@microsoft/fetch-event-source')
    await fetchEventSource(url, { ...init, fetch, openWhenHidden: true, onerror: ignore })
  },
  async 'launchdarkly-eventsource'() {
    const { EventSource } = await import('launchdarkly-eventsource')
    new EventSource(url, init).onerror = ignore
  },
  async 'extended-eventsource'() {
    const found = await import('extended-eventsource')
    const { EventSource } = found.default ?? found
    new EventSource(url, init).onerror = ignore
  },
}
await send[library]()
