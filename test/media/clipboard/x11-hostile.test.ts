/** Programs of a display that lie, break off, hang or keep secrets: each costs its own copy or paste, nothing else. */
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { limits } from '../../../src/base/limits.ts'
import { createVirtualClock, type VirtualClock } from '../../../src/base/virtual-clock.ts'
import { concealmentMarks } from '../../../src/media/clipboard/concealment.ts'
import type { Copy } from '../../../src/media/clipboard/port.ts'
import {
  byMime,
  bytesOf,
  collectCopies,
  noise,
  textCopy,
  textOffer,
} from '../../contract/desktop-clipboard.ts'
import { describeWith } from '../../support/needs.ts'
import { openXDesk, type XDesk } from '../../support/x-desk.ts'
import { startXDisplay, type XTestDisplay } from '../../support/x-display.ts'
import { openXProgram, type XAnswer } from '../../support/x-program.ts'

const word = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer)
const text = { UTF8_STRING: bytesOf('the text') }

/** What a program does with a request for `image/png`, and what is said about it. */
const badAnswers: readonly (readonly [string, XAnswer, RegExp])[] = [
  ['refuses', ({ notify }) => notify(false), /did not hand it over/],
  ['says yes and writes nothing', ({ notify }) => notify(true), /broken/],
  [
    'writes words where bytes belong',
    ({ write, notify }) => (write('image/png', 32, word(7)), notify(true)),
    /broken/,
  ],
  ['never answers', () => undefined, /in time/],
  [
    'begins parts and stops',
    async ({ write, notify, deleted }) => {
      const taken = deleted()
      write('INCR', 32, word(500_000))
      notify(true)
      await taken
      write('image/png', 8, noise(1000))
    },
    /in time/,
  ],
  [
    'begins parts without a size and sends none',
    ({ write, notify }) => (write('INCR', 32, new Uint8Array()), notify(true)),
    /in time/,
  ],
  [
    'changes the type between the parts',
    async ({ write, notify, deleted }) => {
      let taken = deleted()
      write('INCR', 32, word(10))
      notify(true)
      await taken
      taken = deleted()
      write('image/png', 8, noise(10))
      await taken
      write('UTF8_STRING', 8, noise(10))
    },
    /broken/,
  ],
  [
    'sends parts of words',
    async ({ write, notify, deleted }) => {
      const taken = deleted()
      write('INCR', 32, word(10))
      notify(true)
      await taken
      write('image/png', 16, noise(10))
    },
    /broken/,
  ],
  [
    'never stops sending parts',
    async ({ write, notify, deleted }) => {
      const part = noise(250_000)
      let taken = deleted()
      write('INCR', 32, word(1))
      notify(true)
      for (let sent = 0; sent <= limits.desktopFormatBytes; sent += part.byteLength) {
        await taken
        taken = deleted()
        write('image/png', 8, part)
      }
    },
    /too large/,
  ],
]

describeWith(['Xvfb'], 'programs that do not behave', () => {
  let display: XTestDisplay
  beforeAll(async () => {
    display = await startXDisplay()
  })
  afterAll(async () => {
    await display[Symbol.asyncDispose]()
  })

  test.each(badAnswers)('an owner that %s loses that format and no other', async (_about, answer, reason) => {
    const clock = createVirtualClock()
    await using desk = await openXDesk(display, clock)
    const copies = collectCopies(desk.clipboard)
    await desk.program.copy({ ...text, 'image/png': answer })
    const { formats, leftOut } = await hurried(clock, copies.next())
    expect(formats).toEqual(textCopy('the text'))
    expect(leftOut).toEqual([{ mime: 'image/png', reason: expect.stringMatching(reason) }])
    await expectWorking(desk)
  })

  test('parts count by what comes, not by the size that was announced', async () => {
    await using desk = await openXDesk(display)
    const content = noise(700_000)
    for (const size of [0, 1, 0xffff_ffff]) {
      const copies = collectCopies(desk.clipboard)
      await desk.program.copy({ 'image/png': sendParts(content, size) })
      expect(Buffer.from((await copies.next()).formats[0]?.content ?? []).equals(content)).toBe(true)
    }
  })

  test('an owner that dies in the middle of its parts loses that format and no other', async () => {
    await using desk = await openXDesk(display)
    using dying = await openXProgram(display.name)
    const copies = collectCopies(desk.clipboard)
    await dying.copy({
      ...text,
      'image/png': async ({ write, notify, deleted }) => {
        const taken = deleted()
        write('INCR', 32, word(100_000))
        notify(true)
        await taken
        write('image/png', 8, noise(1000))
        await expect.poll(() => dying.asked).toContain('UTF8_STRING')
        dying.kill()
      },
    })
    const { formats, leftOut } = await copies.next()
    expect(formats).toEqual(textCopy('the text'))
    expect(leftOut).toEqual([{ mime: 'image/png', reason: expect.stringContaining('ended') }])
    await expectWorking(desk)
  })

  test('lists of formats that are broken, endless or missing give no copy', async () => {
    const clock = createVirtualClock()
    await using desk = await openXDesk(display, clock)
    const copies = collectCopies(desk.clipboard)
    const lists: readonly (readonly [string, 8 | 32, Uint8Array] | 'refused' | 'nothing')[] = [
      ['ATOM', 32, new Uint8Array()],
      ['UTF8_STRING', 8, bytesOf('not atoms')],
      ['ATOM', 32, noise(limits.desktopListedFormats * 4 + 4)],
      ['INCR', 32, new Uint8Array()],
      'refused',
      'nothing',
    ]
    for (const list of lists) {
      using owner = await openXProgram(display.name)
      const isAsked = Promise.withResolvers<void>()
      const answer: XAnswer = ({ write, notify }) => {
        if (typeof list !== 'string') write(...list)
        notify(list !== 'refused')
        isAsked.resolve()
      }
      await owner.copy({ ...text, TARGETS: answer })
      await isAsked.promise
      if (list[0] === 'INCR') clock.advance(limits.desktopAnswerMs)
      await expectWorking(desk)
      expect(owner.asked).toEqual([])
      expect((await copies.next()).formats).toEqual(textCopy('fine'))
    }
    expect(copies.waiting).toBe(0)
  })

  test('whatever is marked as a secret is not even asked for', async () => {
    await using desk = await openXDesk(display)
    const copies = collectCopies(desk.clipboard)
    const mark = fc.constantFrom(...concealmentMarks)
    const targets = fc.subarray(['UTF8_STRING', 'text/html', 'image/png', 'STRING', 'text/uri-list'], {
      minLength: 1,
    })
    const property = fc.asyncProperty(
      mark,
      targets,
      fc.string(),
      fc.boolean(),
      async (name, list, said, isFirst) => {
        const canary = bytesOf('canary')
        const others = list.map((target) => [target, canary] as const)
        const hint = [name, bytesOf(said)] as const
        using owner = await openXProgram(display.name)
        await owner.copy(Object.fromEntries(isFirst ? [hint, ...others] : [...others, hint]))
        await desk.copyAs(textCopy('harmless'))
        expect((await copies.next()).formats).toEqual(textCopy('harmless'))
        expect(owner.asked).toEqual([])
        expect(copies.waiting).toBe(0)
      },
    )
    await fc.assert(property, { numRuns: 60 })
  })

  test('a secret that is copied while something else is being read does not come out', async () => {
    await using desk = await openXDesk(display)
    const copies = collectCopies(desk.clipboard)
    using secret = await openXProgram(display.name)
    await desk.program.copy({
      ...text,
      'image/png': async ({ write, notify }) => {
        await secret.copy({ 'x-kde-passwordManagerHint': bytesOf('secret'), UTF8_STRING: bytesOf('canary') })
        write('image/png', 8, noise(10))
        notify(true)
      },
    })
    await expect.poll(() => desk.program.asked).toContain('image/png')
    await desk.copyAs(textCopy('after'))
    expect((await copies.next()).formats).toEqual(textCopy('after'))
    expect([secret.asked, copies.waiting]).toEqual([[], 0])
  })

  test('a program that stops reading or dies in the middle of a paste holds up nobody', async () => {
    const clock = createVirtualClock()
    await using desk = await openXDesk(display, clock)
    const image = noise(3_000_000)
    await desk.clipboard.offer([
      ...textOffer('text'),
      { mime: 'image/png', read: () => Promise.resolve(image) },
    ])
    const stalled = await Promise.all(
      Array.from({ length: limits.desktopPastes }, () => openXProgram(display.name)),
    )
    for (const program of stalled) await program.pasteWithoutReading('image/png')
    expect(await desk.program.paste('image/png')).toBeUndefined()
    for (const program of stalled.slice(0, 20)) program.kill()
    await expect.poll(async () => (await desk.program.paste('image/png'))?.equals(image)).toBe(true)
    const others = await Promise.all(Array.from({ length: 20 }, () => openXProgram(display.name)))
    for (const program of others) await program.pasteWithoutReading('image/png')
    expect(await desk.program.paste('UTF8_STRING')).toBeUndefined()
    clock.advance(limits.desktopPasteMs)
    expect((await desk.program.paste('UTF8_STRING'))?.toString()).toBe('text')
    for (const program of others) program.kill()
    for (const program of stalled) program.kill()
    await expectWorking(desk)
  })

  test('a content that does not arrive in time pastes nothing', async () => {
    const clock = createVirtualClock()
    await using desk = await openXDesk(display, clock)
    const { promise: isAsked, resolve } = Promise.withResolvers<AbortSignal>()
    const read = (signal: AbortSignal): Promise<Uint8Array> => {
      resolve(signal)
      return new Promise(() => undefined)
    }
    await desk.clipboard.offer([{ mime: 'text/html', read }])
    const pasting = desk.program.paste('text/html')
    const signal = await isAsked
    clock.advance(limits.desktopPasteMs)
    expect(await pasting).toBeUndefined()
    expect(signal.aborted).toBe(true)
  })
})

/** Time runs on while something is awaited. */
async function hurried<T>(clock: VirtualClock, promise: Promise<T>): Promise<T> {
  let isDone = false
  const done = promise.finally(() => (isDone = true))
  const tick = (): void => {
    if (isDone) return
    clock.advance(50)
    setTimeout(tick, 5)
  }
  tick()
  return await done
}

async function expectWorking(desk: XDesk): Promise<void> {
  const seen = Promise.withResolvers<Copy>()
  using _handle = desk.clipboard.onCopy(seen.resolve)
  await desk.copyAs(textCopy('fine'))
  expect(byMime((await seen.promise).formats)).toEqual(byMime(textCopy('fine')))
}

function sendParts(content: Uint8Array, announced: number): XAnswer {
  return async ({ write, notify, deleted }) => {
    let taken = deleted()
    write('INCR', 32, word(announced))
    notify(true)
    for (let offset = 0; offset < content.byteLength + 100_000; offset += 100_000) {
      await taken
      taken = deleted()
      write('image/png', 8, content.subarray(offset, offset + 100_000))
    }
  }
}
