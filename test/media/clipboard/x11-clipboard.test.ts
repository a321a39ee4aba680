/** The clipboard of a real X display: the contract, with a program of its own protocol code and xclip as witnesses. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  byMime,
  bytesOf,
  collectCopies,
  describeDesktopClipboard,
  noise,
  offerOf,
  richCopy,
  textCopy,
  textOffer,
} from '../../contract/desktop-clipboard.ts'
import { openXDesk, targetName } from '../../support/x-desk.ts'
import { describeWith } from '../../support/needs.ts'
import { startXDisplay, type XTestDisplay } from '../../support/x-display.ts'
import { openXProgram } from '../../support/x-program.ts'

describeWith(['Xvfb', 'xclip'], 'the clipboard of an X display', () => {
  let display: XTestDisplay
  beforeAll(async () => {
    display = await startXDisplay()
  })
  afterAll(async () => {
    await display[Symbol.asyncDispose]()
  })

  describeDesktopClipboard(() => openXDesk(display))

  test.each(richCopy.map(({ mime }) => mime))('xclip and we agree on %s, both ways', async (mime) => {
    await using desk = await openXDesk(display)
    const copies = collectCopies(desk.clipboard)
    const content = richCopy.find((format) => format.mime === mime)?.content ?? new Uint8Array()
    await display.copyByXclip(targetName(mime), content)
    expect((await copies.next()).formats).toEqual([{ mime, content }])
    await desk.clipboard.offer([{ mime, read: () => Promise.resolve(content) }])
    expect(new Uint8Array(await display.readByXclip(targetName(mime)))).toEqual(content)
  })

  test('xclip and we agree on 12 MB, both ways', async () => {
    await using desk = await openXDesk(display)
    const copies = collectCopies(desk.clipboard)
    const content = noise(12_000_000, 3)
    await display.copyByXclip('image/png', content)
    const [format] = (await copies.next()).formats
    expect(Buffer.from(content).equals(format?.content ?? new Uint8Array())).toBe(true)
    await desk.clipboard.offer([{ mime: 'image/png', read: () => Promise.resolve(content) }])
    expect((await display.readByXclip('image/png')).equals(content)).toBe(true)
  })

  test('many programs paste at once, small and large', async () => {
    await using desk = await openXDesk(display)
    const image = noise(2_000_000, 9)
    const formats = [...textOffer('text'), { mime: 'image/png', read: () => Promise.resolve(image) }]
    await desk.clipboard.offer(formats)
    const programs = await Promise.all(Array.from({ length: 8 }, () => openXProgram(display.name)))
    const pasted = await Promise.all(
      programs.flatMap((program) => [program.paste('image/png'), program.paste('UTF8_STRING')]),
    )
    for (const program of programs) program.kill()
    for (const [index, content] of pasted.entries()) {
      expect(content?.equals(index % 2 === 0 ? image : bytesOf('text'))).toBe(true)
    }
  })

  test('programs get lists, times and several formats at once as the protocol has it', async () => {
    await using desk = await openXDesk(display)
    const { program } = desk
    await desk.clipboard.offer([
      ...textOffer('größer'),
      ...offerOf([{ mime: 'text/html', content: bytesOf('<b>') }]),
    ])
    const together = await program.pasteTogether([
      'text/html',
      'image/png',
      'UTF8_STRING',
      'STRING',
      'MULTIPLE',
    ])
    expect(together.map((content) => content?.toString('latin1'))).toEqual([
      '<b>',
      undefined,
      Buffer.from('größer').toString('latin1'),
      'größer',
      undefined,
    ])
    const [first, second] = [await program.paste('TIMESTAMP'), await program.paste('TIMESTAMP')]
    expect(first?.readUInt32LE()).toBeGreaterThan(0)
    expect(second).toEqual(first)
    expect((await program.paste('SAVE_TARGETS'))?.byteLength).toBe(0)
    const listed = (await display.readByXclip('TARGETS')).toString().split('\n')
    for (const target of [
      'TARGETS',
      'TIMESTAMP',
      'MULTIPLE',
      'UTF8_STRING',
      'STRING',
      'TEXT',
      'text/plain',
    ]) {
      expect(listed).toContain(target)
    }
  })

  test('what one peer offers does not come out of another on the same display', async () => {
    await using first = await openXDesk(display)
    await using second = await openXDesk(display)
    const [fromFirst, fromSecond] = [collectCopies(first.clipboard), collectCopies(second.clipboard)]
    for (const desk of [first, second]) {
      await desk.clipboard.offer(textOffer('an echo'))
      // Longer than the other one needs to read it
      for (let count = 0; count < 20; count++) await desk.program.paste('TARGETS')
    }
    await first.copyAs(textCopy('a copy'))
    expect((await fromFirst.next()).formats).toEqual(textCopy('a copy'))
    expect((await fromSecond.next()).formats).toEqual(textCopy('a copy'))
    expect([fromFirst.waiting, fromSecond.waiting]).toEqual([0, 0])
  })

  test('a thousand copies in two seconds end in the last one', async () => {
    await using desk = await openXDesk(display)
    const { promise, resolve } = Promise.withResolvers<void>()
    desk.clipboard.onCopy(({ formats }) => {
      if (byMime(formats)['text/plain']?.toString() === bytesOf('copy 999').toString()) resolve()
    })
    for (let index = 0; index < 1000; index++) await desk.copyAs(textCopy(`copy ${index}`))
    await promise
    const copies = collectCopies(desk.clipboard)
    await desk.copyAs(textCopy('and on'))
    expect((await copies.next()).formats).toEqual(textCopy('and on'))
  })
})
