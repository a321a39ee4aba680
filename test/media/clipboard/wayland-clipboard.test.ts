/** The clipboard of a real Wayland session, with wl-clipboard on both sides. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createSystemEnv } from '../../../src/base/env.ts'
import { systemPrograms } from '../../../src/media/clipboard/programs.ts'
import { createWaylandClipboard, parseTypes } from '../../../src/media/clipboard/wayland-clipboard.ts'
import {
  bytesOf,
  collectCopies,
  describeDesktopClipboard,
  richCopy,
  textCopy,
  untilState,
  type TestDesk,
} from '../../contract/desktop-clipboard.ts'
import { describeWith } from '../../support/needs.ts'
import { startWaylandDisplay, type WaylandTestDisplay } from '../../support/wayland-display.ts'

async function openDesk(display: WaylandTestDisplay): Promise<TestDesk> {
  const clipboard = createWaylandClipboard(createSystemEnv(), systemPrograms, display.variables)
  await untilState(clipboard, 'ready')
  return {
    clipboard,
    async copyAs(formats) {
      for (const { mime, content } of formats) await display.copy(mime, content)
    },
    // A program of one format can say that it is a secret, or give it, not both
    copyConcealedAs: () => display.copy('x-kde-passwordManagerHint', bytesOf('secret')),
    paste: (mime) => display.paste(mime),
    leave: () => display.stop(),
    comeBack: () => display.start(),
    [Symbol.asyncDispose]: () => clipboard[Symbol.asyncDispose](),
  }
}

describeWith(['sway', 'wl-clipboard'], 'the clipboard of a Wayland session', () => {
  let display: WaylandTestDisplay
  beforeAll(async () => {
    display = await startWaylandDisplay()
  })
  afterAll(async () => {
    await display[Symbol.asyncDispose]()
  })

  describeDesktopClipboard(() => openDesk(display), { isEager: true, isSingle: true, stormCopies: 20 })

  test('of several formats the most useful one is offered', async () => {
    await using desk = await openDesk(display)
    await desk.clipboard.offer(
      richCopy.map(({ mime, content }) => ({ mime, read: () => Promise.resolve(content) })),
    )
    expect(await desk.paste('text/uri-list')).toEqual(bytesOf('file:///home/a%20b\r\nfile:///c\r\n'))
    expect(await desk.paste('image/png')).toBeUndefined()
  })

  test('what was there before is no copy', async () => {
    await display.copy('text/plain', bytesOf('before'))
    await using desk = await openDesk(display)
    const copies = collectCopies(desk.clipboard)
    await desk.copyAs(textCopy('after'))
    expect((await copies.next()).formats).toEqual(textCopy('after'))
  })
})

describe('the list of types', () => {
  test('is one a line, whatever else is there', () => {
    expect(parseTypes(bytesOf('text/plain\n\nUTF8_STRING\r\n image/png'))).toEqual([
      'text/plain',
      'UTF8_STRING',
      'image/png',
    ])
    expect(parseTypes(new Uint8Array())).toEqual([])
  })
})
