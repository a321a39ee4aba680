/** X servers that refuse, hang or send nonsense: the clipboard is away, says why, and nothing else happens. */
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createConnection, createServer, type Socket } from 'node:net'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Clock } from '../../../src/base/clock.ts'
import { createSystemEnv } from '../../../src/base/env.ts'
import { createVirtualClock } from '../../../src/base/virtual-clock.ts'
import { limits } from '../../../src/base/limits.ts'
import { openDesktopClipboard } from '../../../src/media/clipboard/open-clipboard.ts'
import type { DesktopClipboard } from '../../../src/media/clipboard/port.ts'
import { createX11Clipboard } from '../../../src/media/clipboard/x11-clipboard.ts'
import {
  findCookie,
  isTrustedOwner,
  parseCookies,
  parseDisplay,
} from '../../../src/media/clipboard/x11-display.ts'
import { collectCopies, textCopy, textOffer, untilState } from '../../contract/desktop-clipboard.ts'
import { describeWith } from '../../support/needs.ts'
import { startXDisplay, type XTestDisplay } from '../../support/x-display.ts'
import { openXProgram } from '../../support/x-program.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'skein-x11-'))
})
afterAll(async () => {
  await rm(folder, { recursive: true })
})

let sockets = 0

/** A socket where `serve` plays the display. */
async function openFake(
  serve: (socket: Socket) => void,
): Promise<AsyncDisposable & { readonly path: string }> {
  const path = join(folder, `X${sockets++}`)
  const open = new Set<Socket>()
  const server = createServer((socket) => {
    open.add(socket)
    socket.on('error', () => undefined)
    serve(socket)
  }).listen(path)
  await once(server, 'listening')
  return {
    path,
    async [Symbol.asyncDispose]() {
      for (const socket of open) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

function openAt(path: string, clock?: Clock): DesktopClipboard {
  const env = createSystemEnv(clock === undefined ? {} : { clock })
  return createX11Clipboard(env, { place: { name: ':fake', number: 0, address: { path } }, variables: {} })
}

/** Waits for one more look at a display that is away. */
async function untilReason(clipboard: DesktopClipboard, reason: RegExp): Promise<void> {
  await expect.poll(() => (clipboard.state.kind === 'away' ? clipboard.state.reason : '')).toMatch(reason)
}

describe('a display that is none', () => {
  test('that closes at once is away', async () => {
    await using fake = await openFake((socket) => socket.destroy())
    await using clipboard = openAt(fake.path)
    await untilReason(clipboard, /gone/)
  })

  test('that never answers is away after a while', async () => {
    const clock = createVirtualClock()
    const { promise: asked, resolve } = Promise.withResolvers<void>()
    await using fake = await openFake((socket) => socket.once('data', () => resolve()))
    await using clipboard = openAt(fake.path, clock)
    await asked
    clock.advance(limits.displayAnswerMs)
    await untilReason(clipboard, /longer than|does not answer/)
  })

  test('that refuses us is away and says so', async () => {
    const words = Buffer.from('no such cookie  ')
    const refusal = Buffer.concat([Buffer.from([0, words.length, 11, 0, 0, 0, words.length / 4, 0]), words])
    await using fake = await openFake((socket) => socket.once('data', () => socket.write(refusal)))
    await using clipboard = openAt(fake.path)
    await untilReason(clipboard, /refuses/)
  })

  test('that sends anything at all is away, and nothing is thrown', async () => {
    const property = fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 400 }), async (junk) => {
      await using fake = await openFake((socket) => socket.end(Buffer.concat([Buffer.from([1]), junk])))
      await using clipboard = openAt(fake.path)
      await untilReason(clipboard, /gone|refuses|sent/)
    })
    await fc.assert(property, { numRuns: 30 })
  })
})

describeWith(['Xvfb'], 'a display that turns bad', () => {
  let display: XTestDisplay
  beforeAll(async () => {
    display = await startXDisplay()
  })
  afterAll(async () => {
    await display[Symbol.asyncDispose]()
  })

  const packet = (type: number, sequence: number, extraWords: number): Buffer => {
    const head = Buffer.alloc(32)
    head[0] = type
    head.writeUInt16LE(sequence, 2)
    head.writeUInt32LE(extraWords, 4)
    return head
  }

  /** A way to the display that can be disturbed; `through` holds the connections that go through it. */
  const openProxy = (through: Set<Socket>, isOpen = () => true): ReturnType<typeof openFake> =>
    openFake((socket) => {
      if (!isOpen()) return void socket.destroy()
      const server = createConnection(`/tmp/.X11-unix/X${display.name.slice(1)}`)
      server.on('error', () => undefined)
      socket.on('close', () => server.destroy())
      socket.pipe(server).pipe(socket)
      through.add(socket)
    })

  test('by saying nothing any more is left when it is asked something', async () => {
    const clock = createVirtualClock()
    const through = new Set<Socket>()
    await using proxy = await openProxy(through)
    await using clipboard = openAt(proxy.path, clock)
    await untilState(clipboard, 'ready')
    for (const socket of through) socket.unpipe()
    const offered = clipboard.offer(textOffer('ours'))
    const away = untilState(clipboard, 'away')
    clock.advance(limits.displayAnswerMs)
    await away
    await offered
    const ready = untilState(clipboard, 'ready')
    clock.advance(limits.displayRetryMaxMs)
    await ready
    using program = await openXProgram(display.name)
    await expect.poll(async () => (await program.paste('UTF8_STRING'))?.toString()).toBe('ours')
  })

  test.each([
    ['an answer of 16 GB', packet(1, 1, 0xffff_ffff)],
    ['an endless event', packet(35, 1, 0x3fff_ffff)],
  ])('by sending %s is left, tried again and used again', async (_about, evil) => {
    const through = new Set<Socket>()
    await using proxy = await openProxy(through)
    await using clipboard = openAt(proxy.path)
    await untilState(clipboard, 'ready')
    await clipboard.offer(textOffer('still offered'))
    const away = untilState(clipboard, 'away')
    for (const socket of through) socket.write(evil)
    await away
    await untilState(clipboard, 'ready')
    using program = await openXProgram(display.name)
    await expect.poll(async () => (await program.paste('UTF8_STRING'))?.toString()).toBe('still offered')
    const copies = collectCopies(clipboard)
    await program.copy({ UTF8_STRING: Buffer.from('after') })
    expect((await copies.next()).formats).toEqual(textCopy('after'))
  })

  test('opens to its cookie alone', async () => {
    const data = 'sixteen bytes \xfe\xff'
    const cookieFile = join(folder, 'cookies')
    await writeFile(cookieFile, entry(65535, '', '', data))
    await using closed = await startXDisplay(cookieFile)
    const openWith = (variables: Readonly<Record<string, string>>): DesktopClipboard =>
      openDesktopClipboard(createSystemEnv(), {
        platform: 'linux',
        variables: { ...closed.variables, HOME: '/nonexistent', ...variables },
      })
    await using stranger = openWith({})
    await untilReason(stranger, /refuses/)
    await using friend = openWith({ XAUTHORITY: cookieFile })
    await untilState(friend, 'ready')
  })

  test('copied while we were cut off comes out when we are back, and is not overwritten by our offer', async () => {
    let isOpen = true
    const through = new Set<Socket>()
    await using proxy = await openProxy(through, () => isOpen)
    await using clipboard = openAt(proxy.path)
    await untilState(clipboard, 'ready')
    await clipboard.offer(textOffer('ours'))
    const copies = collectCopies(clipboard)
    const away = untilState(clipboard, 'away')
    isOpen = false
    for (const socket of through) socket.destroy()
    await away
    using program = await openXProgram(display.name)
    await program.copy({ UTF8_STRING: Buffer.from('theirs') })
    isOpen = true
    expect((await copies.next()).formats).toEqual(textCopy('theirs'))
    using other = await openXProgram(display.name)
    expect((await other.paste('UTF8_STRING'))?.toString()).toBe('theirs')
  })
})

/** One entry of an Xauthority file. */
function entry(family: number, address: string, number: string, data: string): Buffer {
  const texts = [address, number, 'MIT-MAGIC-COOKIE-1', data].map((text) => {
    const length = Buffer.alloc(2)
    length.writeUInt16BE(text.length)
    return Buffer.concat([length, Buffer.from(text, 'latin1')])
  })
  const head = Buffer.alloc(2)
  head.writeUInt16BE(family)
  return Buffer.concat([head, ...texts])
}

describe('where a display is', () => {
  test('only displays of this machine are ones', () => {
    expect(parseDisplay(':0')?.address).toEqual({ path: '/tmp/.X11-unix/X0' })
    expect(parseDisplay('unix:12.0')?.address).toEqual({ path: '/tmp/.X11-unix/X12' })
    expect(parseDisplay('localhost:10.0')?.address).toEqual({ host: '127.0.0.1', port: 6010 })
    for (const name of [
      '',
      '0',
      'example.org:0',
      ':x',
      ':0:1',
      '10.0.0.1:0',
      'localhost:65000',
      '../../x:0',
    ]) {
      expect(parseDisplay(name)).toBeUndefined()
    }
  })

  test('a socket that another user made is not trusted', () => {
    const trusted = [isTrustedOwner(0, 1000), isTrustedOwner(1000, 1000), isTrustedOwner(1000, 0)]
    expect(trusted).toEqual([true, true, true])
    expect([isTrustedOwner(1001, 1000), isTrustedOwner(65534, 1000)]).toEqual([false, false])
  })

  test('the cookie is that of this machine and this display, or of any', () => {
    const other = [
      entry(256, 'elsewhere', '7', 'a'),
      entry(256, 'here', '8', 'b'),
      entry(0, 'here', '7', 'c'),
    ]
    const find = (...entries: readonly Buffer[]): string | undefined =>
      parseCookies(Buffer.concat(entries), 'here', 7)?.data
    expect(find(...other)).toBeUndefined()
    expect(find(...other, entry(256, 'here', '7', 'right\u00ff'))).toBe('right\u00ff')
    expect(find(...other, entry(256, 'here', '', 'all'))).toBe('all')
    expect(find(...other, entry(65535, '', '7', 'wild'))).toBe('wild')
  })

  test('a broken file of cookies gives none and throws nothing', () => {
    fc.assert(fc.property(fc.uint8Array(), (file) => void parseCookies(file, 'here', 7)))
    const whole = entry(256, 'here', '7', 'right')
    for (let length = 0; length < whole.length; length++) {
      expect(parseCookies(whole.subarray(0, length), 'here', 7)).toBeUndefined()
    }
  })

  test('without a file there is no cookie', async () => {
    const place = { name: ':7', number: 7, address: { path: '' } }
    expect(await findCookie({ HOME: folder }, place)).toEqual({ name: '', data: '' })
    await writeFile(join(folder, '.Xauthority'), entry(256, hostname(), '7', 'mine'))
    expect(await findCookie({ HOME: folder }, place)).toEqual({ name: 'MIT-MAGIC-COOKIE-1', data: 'mine' })
    const other = join(folder, 'other')
    await writeFile(other, entry(65535, '', '', 'named'))
    expect((await findCookie({ HOME: folder, XAUTHORITY: other }, place)).data).toBe('named')
  })
})
