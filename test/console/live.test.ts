/** Live data: ids, taking up again, the state after an event, and a page that is slow. */
import { request as httpRequest } from 'node:http'
import { expect, onTestFinished, test } from 'vitest'
import { limits } from '../../src/base/limits.ts'
import type { EventItem } from '../../src/peer/api.ts'
import type { ConsoleRig, Credentials } from '../support/console-rig.ts'
import { ask, createConsoleRig } from '../support/console-rig.ts'

test('live data has ids, is resumed without a gap, and shows the state soon after an event', async () => {
  let emit: (item: EventItem) => void = () => undefined
  let looks = 0
  const rig = await createConsoleRig({
    async *events(_params, { signal }) {
      while (!signal.aborted) {
        const item = await new Promise<EventItem | undefined>((resolve) => {
          emit = resolve
          signal.addEventListener('abort', () => resolve(undefined), { once: true })
        })
        if (item !== undefined) yield item
      }
    },
    status: () => Promise.resolve({ looks: ++looks } as never),
  })
  const who = await rig.signIn()
  const send = async (count: number): Promise<void> => {
    emit({ name: 'link.up', atMs: 0, data: { count } })
    await new Promise((resolve) => setImmediate(resolve))
  }
  const first = await follow(rig, who)
  await send(1)
  await send(2)
  const seen = await first.until((message) => message.data.includes('"count":2'))
  first.stop()
  await send(3)
  const lastId = seen.findLast((message) => message.event === 'event')?.id ?? ''
  const second = await follow(rig, who, lastId)
  const resumed = await second.until((message) => message.event === 'event')
  expect(resumed[0]?.data).toContain('"isResumed":true')
  expect(resumed.at(-1)?.data).toContain('"count":3')
  const before = looks
  const status = await second.until((message) => message.event === 'status')
  expect(status.at(-1)?.data).toContain('"looks"')
  expect(looks).toBeGreaterThanOrEqual(before)
  second.stop()
})

interface Message {
  readonly event: string
  readonly id?: string
  readonly data: string
}

async function follow(rig: ConsoleRig, who: Credentials, lastId?: string) {
  const controller = new AbortController()
  onTestFinished(() => controller.abort())
  const headers = lastId === undefined ? {} : { 'last-event-id': lastId }
  const response = await ask(rig, who, '/events', { headers, signal: controller.signal })
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
  let text = ''
  return {
    stop: () => controller.abort(),
    async until(check: (message: Message) => boolean): Promise<readonly Message[]> {
      const seen: Message[] = []
      for (;;) {
        const end = text.indexOf('\n\n')
        if (end < 0) {
          text += (await reader?.read())?.value ?? ''
          continue
        }
        const fields = new Map(
          text
            .slice(0, end)
            .split('\n')
            .map((line) => line.split(/: (.*)/s) as [string, string]),
        )
        text = text.slice(end + 2)
        const id = fields.get('id')
        if (!fields.has('event')) continue
        seen.push({
          event: fields.get('event') ?? '',
          data: fields.get('data') ?? '',
          ...(id !== undefined && { id }),
        })
        const last = seen.at(-1)
        if (last !== undefined && check(last)) return seen
      }
    },
  }
}

test('a slow page loses the oldest events and is told how many', async () => {
  const total = limits.consoleBacklog * 40
  let release: () => void = () => undefined
  const released = new Promise<void>((resolve) => (release = resolve))
  const rig = await createConsoleRig({
    async *events() {
      await released
      for (let count = 0; count < total; count++)
        yield { name: 'link.up', atMs: 0, data: { count, padding: 'x'.repeat(2_000) } }
    },
    status: () => Promise.resolve({} as never),
  })
  const who = await rig.signIn()
  const text = await new Promise<string>((resolve, reject) => {
    const request = httpRequest(
      `${rig.origin}/api/v1/events`,
      { headers: { cookie: who.cookie, 'skein-tab': who.tab } },
      (response) => {
        release()
        let got = ''
        response.on('data', (chunk: Buffer) => {
          got += chunk.toString()
          if (got.includes(`"count":${total - 1},`)) {
            request.destroy()
            resolve(got)
          }
        })
        // Nothing is read until all of it was published
        response.pause()
        setTimeout(() => response.resume(), 500)
      },
    )
    request.on('error', reject)
    request.end()
  })
  const dropped = /event: dropped\ndata: {"count":(\d+)}/.exec(text)
  expect(Number(dropped?.[1])).toBeGreaterThan(limits.consoleBacklog)
})
