/**
 * What every DesktopClipboard must hold to: copies come out whole and in order, offers are read when they are pasted,
 * and neither a secret nor what was offered here ever comes out.
 */
import { expect, test } from 'vitest'
import type { CopiedFormat, Copy, DesktopClipboard, OfferedFormat } from '../../src/media/clipboard/port.ts'

/** A desktop with the clipboard under test and other programs. */
export interface TestDesk extends AsyncDisposable {
  readonly clipboard: DesktopClipboard
  copyAs(formats: readonly CopiedFormat[]): Promise<void>
  copyConcealedAs(formats: readonly CopiedFormat[]): Promise<void>
  paste(mime: string): Promise<Uint8Array | undefined>
  leave(): Promise<void>
  comeBack(): Promise<void>
}

export const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)
export const textCopy = (text: string): readonly CopiedFormat[] => [
  { mime: 'text/plain', content: bytesOf(text) },
]
export const textOffer = (text: string): readonly OfferedFormat[] => [
  { mime: 'text/plain', read: () => Promise.resolve(bytesOf(text)) },
]

export const offerOf = (formats: readonly CopiedFormat[]): readonly OfferedFormat[] =>
  formats.map(({ mime, content }) => ({ mime, read: () => Promise.resolve(content) }))

/** Bytes that no format would have by chance, every value among them. */
export const noise = (length: number, seed = 1): Uint8Array =>
  Uint8Array.from({ length }, (_value, index) => (index * 31 + (index >> 8) * 7 + seed) & 0xff)

export const richCopy: readonly CopiedFormat[] = [
  { mime: 'text/plain', content: bytesOf('größer, 日本, 👍\r\n\0end') },
  { mime: 'text/html', content: bytesOf('<b>größer</b>') },
  { mime: 'text/rtf', content: bytesOf('{\\rtf1 {\\b gr\\u246?\\u223?er}}') },
  { mime: 'image/png', content: noise(70_001) },
  { mime: 'text/uri-list', content: bytesOf('file:///home/a%20b\r\nfile:///c\r\n') },
  { mime: 'x-special/gnome-copied-files', content: bytesOf('cut\nfile:///home/a%20b') },
]

/** The copies that come out, one after another. */
export function collectCopies(clipboard: DesktopClipboard): {
  next(): Promise<Copy>
  readonly waiting: number
} {
  const copies: Copy[] = []
  const takers: ((copy: Copy) => void)[] = []
  clipboard.onCopy((copy) => {
    const take = takers.shift()
    if (take === undefined) copies.push(copy)
    else take(copy)
  })
  return {
    get waiting() {
      return copies.length
    },
    next: () => {
      const first = copies.shift()
      return first === undefined ? new Promise((resolve) => takers.push(resolve)) : Promise.resolve(first)
    },
  }
}

export const byMime = (formats: readonly CopiedFormat[]): Readonly<Record<string, Uint8Array>> =>
  Object.fromEntries(formats.map(({ mime, content }) => [mime, content]))

export async function untilState(clipboard: DesktopClipboard, kind: 'ready' | 'away'): Promise<void> {
  if (clipboard.state.kind === kind) return
  await new Promise<void>((resolve) => {
    const handle = clipboard.onState((state) => {
      if (state.kind !== kind) return
      handle[Symbol.dispose]()
      resolve()
    })
  })
}

/** In what a system may fall short. */
export interface ClipboardTraits {
  /** Offers are read at once and not when they are pasted. */
  readonly isEager?: boolean
  /** Programs of this system, and offers, have one format each. */
  readonly isSingle?: boolean
  /** The formats that the system has names for; all by default. */
  readonly mimes?: readonly string[]
  /** How many copies make a storm; fewer where each takes a process. */
  readonly stormCopies?: number
}

/** @param setup a fresh desk whose clipboard is ready. */
export function describeDesktopClipboard(setup: () => Promise<TestDesk>, traits: ClipboardTraits = {}): void {
  const { isSingle = false, mimes = richCopy.map(({ mime }) => mime) } = traits
  const formats = richCopy.filter(({ mime }) => mimes.includes(mime))
  const copies = isSingle ? formats.map((format) => [format]) : [formats]
  describeCopies(setup, copies, traits.stormCopies ?? 200)
  describeOffers(setup, copies)
  if (!(traits.isEager ?? false)) describeLaziness(setup)
}

type Copies = readonly (readonly CopiedFormat[])[]

function describeCopies(setup: () => Promise<TestDesk>, rich: Copies, stormCopies: number): void {
  test('a copy comes out with all its formats, byte by byte', async () => {
    await using desk = await setup()
    const copies = collectCopies(desk.clipboard)
    for (const copied of rich) {
      await desk.copyAs(copied)
      const { formats, leftOut } = await copies.next()
      // A system may know a format under more names than it was given
      expect(byMime(formats)).toMatchObject(byMime(copied))
      expect(leftOut).toEqual([])
    }
  })

  test('copies come out in the order in which they were made', async () => {
    await using desk = await setup()
    const copies = collectCopies(desk.clipboard)
    for (const text of ['one', 'two', 'three']) {
      await desk.copyAs(textCopy(text))
      expect((await copies.next()).formats).toEqual(textCopy(text))
    }
  })

  test('content of 12 MB comes out', async () => {
    await using desk = await setup()
    const copies = collectCopies(desk.clipboard)
    const content = noise(12_000_000)
    await desk.copyAs([{ mime: 'image/png', content }])
    const [format] = (await copies.next()).formats
    expect(Buffer.from(content).equals(format?.content ?? new Uint8Array())).toBe(true)
  })

  test('nothing of a secret comes out, and the copy after it does', async () => {
    await using desk = await setup()
    const copies = collectCopies(desk.clipboard)
    await desk.copyConcealedAs(textCopy('a secret'))
    await desk.copyAs(textCopy('not one'))
    expect((await copies.next()).formats).toEqual(textCopy('not one'))
    expect(copies.waiting).toBe(0)
  })

  test('of a storm of copies the last one comes out last', async () => {
    await using desk = await setup()
    const seen: string[] = []
    const { promise, resolve } = Promise.withResolvers<void>()
    desk.clipboard.onCopy(({ formats }) => {
      seen.push(new TextDecoder().decode(formats[0]?.content))
      if (seen.at(-1) === `copy ${stormCopies - 1}`) resolve()
    })
    for (let index = 0; index < stormCopies; index++) await desk.copyAs(textCopy(`copy ${index}`))
    await promise
    const order = seen.map((text) => Number(text.slice(5)))
    expect(order).toEqual(order.toSorted((a, b) => a - b))
  })

  test('a listener that was taken off hears nothing more', async () => {
    await using desk = await setup()
    const copies = collectCopies(desk.clipboard)
    let heard = 0
    using _handle = desk.clipboard.onCopy(() => heard++)
    await desk.copyAs(textCopy('one'))
    await copies.next()
    _handle[Symbol.dispose]()
    await desk.copyAs(textCopy('two'))
    await copies.next()
    expect(heard).toBe(1)
  })
}

function describeOffers(setup: () => Promise<TestDesk>, rich: Copies): void {
  test('what is offered can be pasted, every format byte by byte, and does not come out as a copy', async () => {
    await using desk = await setup()
    const copies = collectCopies(desk.clipboard)
    for (const formats of rich) {
      await desk.clipboard.offer(offerOf(formats))
      for (const { mime, content } of formats) {
        expect([mime, new Uint8Array((await desk.paste(mime)) ?? [])]).toEqual([mime, content])
      }
    }
    await desk.copyAs(textCopy('after'))
    expect((await copies.next()).formats).toEqual(textCopy('after'))
    expect(copies.waiting).toBe(0)
  })

  test('12 MB can be pasted', async () => {
    await using desk = await setup()
    const content = noise(12_000_000, 5)
    await desk.clipboard.offer([{ mime: 'image/png', read: () => Promise.resolve(content) }])
    expect(Buffer.from(content).equals((await desk.paste('image/png')) ?? new Uint8Array())).toBe(true)
  })

  test('an offer that cannot be read pastes nothing, and the others still do', async () => {
    await using desk = await setup()
    const broken = { mime: 'text/html', read: () => Promise.reject(new Error('gone')) }
    await desk.clipboard.offer([broken, ...textOffer('still here')])
    expect(await desk.paste('text/html')).toBeUndefined()
    expect(new Uint8Array((await desk.paste('text/plain')) ?? [])).toEqual(bytesOf('still here'))
  })

  test('a later offer takes the place of an earlier one', async () => {
    await using desk = await setup()
    await desk.clipboard.offer(offerOf([{ mime: 'image/png', content: noise(100) }]))
    await desk.clipboard.offer(textOffer('second'))
    expect(new Uint8Array((await desk.paste('text/plain')) ?? [])).toEqual(bytesOf('second'))
    expect(await desk.paste('image/png')).toBeUndefined()
  })

  test('an offer can be taken back, what another program copied cannot', async () => {
    await using desk = await setup()
    const copies = collectCopies(desk.clipboard)
    await desk.clipboard.offer(textOffer('ours'))
    await desk.clipboard.withdraw()
    expect(await desk.paste('text/plain')).toBeUndefined()
    await desk.clipboard.offer(textOffer('ours again'))
    await desk.copyAs(textCopy('theirs'))
    await copies.next()
    await desk.clipboard.withdraw()
    expect(new Uint8Array((await desk.paste('text/plain')) ?? [])).toEqual(bytesOf('theirs'))
  })

  test('an offer that is taken back at once does not come', async () => {
    await using desk = await setup()
    const offered = desk.clipboard.offer(textOffer('ours'))
    await desk.clipboard.withdraw()
    await offered
    expect(new Uint8Array((await desk.paste('text/plain')) ?? [])).not.toEqual(bytesOf('ours'))
  })

  test('of offers made at once the last one stands', async () => {
    await using desk = await setup()
    await Promise.all(['one', 'two', 'three'].map((text) => desk.clipboard.offer(textOffer(text))))
    expect(new Uint8Array((await desk.paste('text/plain')) ?? [])).toEqual(bytesOf('three'))
  })

  test('a secret takes the place of an offer', async () => {
    await using desk = await setup()
    await desk.clipboard.offer(textOffer('ours'))
    await desk.copyConcealedAs(textCopy('a secret'))
    expect(new Uint8Array((await desk.paste('text/plain')) ?? [])).not.toEqual(bytesOf('ours'))
  })

  test('a display that goes away and comes back gets the last offer again', async () => {
    await using desk = await setup()
    await desk.clipboard.offer(textOffer('before'))
    const away = untilState(desk.clipboard, 'away')
    await desk.leave()
    await away
    await desk.clipboard.offer(textOffer('while away'))
    const ready = untilState(desk.clipboard, 'ready')
    await desk.comeBack()
    await ready
    await expect
      .poll(async () => new TextDecoder().decode(await desk.paste('text/plain')), { timeout: 10_000 })
      .toBe('while away')
    const copies = collectCopies(desk.clipboard)
    await desk.copyAs(textCopy('after'))
    expect((await copies.next()).formats).toEqual(textCopy('after'))
  })

  test('a closed clipboard offers nothing', async () => {
    await using desk = await setup()
    await desk.clipboard.offer(textOffer('ours'))
    await desk.clipboard[Symbol.asyncDispose]()
    await expect(desk.clipboard.offer(textOffer('late'))).rejects.toThrow('closed')
    expect(await desk.paste('text/plain')).toBeUndefined()
  })
}

function describeLaziness(setup: () => Promise<TestDesk>): void {
  test('an offer is read when it is pasted and not before; what is not offered cannot be pasted', async () => {
    await using desk = await setup()
    let reads = 0
    const read = (): Promise<Uint8Array> => {
      reads++
      return Promise.resolve(bytesOf('lazy'))
    }
    await desk.clipboard.offer([{ mime: 'text/html', read }])
    expect(await desk.paste('image/png')).toBeUndefined()
    expect(reads).toBe(0)
    expect(new Uint8Array((await desk.paste('text/html')) ?? [])).toEqual(bytesOf('lazy'))
    expect(reads).toBe(1)
  })
}
