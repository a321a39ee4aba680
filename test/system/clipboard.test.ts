/**
 * One clipboard between real peers, through the command line: pipes, history, pause, what lies on the disk, copies made
 * apart, and a peer killed in the middle of a long content. In network namespaces.
 */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { createSystemRandom } from '../../src/base/system-random.ts'
import type { ClipGetResult, ClipItem, ClipState } from '../../src/peer/api-clipboard.ts'
import { describeWith } from '../support/needs.ts'
import type { Lab } from '../support/netns.ts'
import { createLab } from '../support/netns.ts'
import type { CommandOutcome, SkeinPeer } from '../support/skein.ts'
import { createSkeinPeer, launchIn, pairPeers, until } from '../support/skein.ts'

const entry = fileURLToPath(new URL('../../bin/skein.js', import.meta.url))

interface Pair extends AsyncDisposable {
  readonly alice: SkeinPeer
  readonly bob: SkeinPeer
  /** A command with bytes on its standard input. @returns what it wrote. */
  pipe(peer: SkeinPeer, args: readonly string[], input?: Uint8Array): Promise<Piped>
}

interface Piped extends Omit<CommandOutcome, 'stdout'> {
  readonly stdout: Buffer
}

async function openPair(): Promise<Pair> {
  const lab = await createLab({ hosts: 2, withDefaultRoute: true })
  const peerIn = (host: number, name: string): Promise<SkeinPeer> =>
    createSkeinPeer({
      name,
      upArgs: [],
      launch: launchIn(lab, host),
    })
  const [alice, bob] = [await peerIn(0, 'alice'), await peerIn(1, 'bob')]
  return {
    alice,
    bob,
    pipe: (peer, args, input) => pipe(lab, { host: peer === alice ? 0 : 1, peer }, args, input),
    async [Symbol.asyncDispose]() {
      await alice[Symbol.asyncDispose]()
      await bob[Symbol.asyncDispose]()
      await lab[Symbol.asyncDispose]()
    },
  }
}

async function pipe(
  lab: Lab,
  at: { readonly host: number; readonly peer: SkeinPeer },
  args: readonly string[],
  input: Uint8Array = new Uint8Array(),
): Promise<Piped> {
  const child = lab.spawn(at.host, process.execPath, [entry, ...args, '--home', at.peer.home], {
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  const [out, errors]: [Buffer[], Buffer[]] = [[], []]
  child.stdout?.on('data', (chunk: Buffer) => out.push(chunk))
  child.stderr?.on('data', (chunk: Buffer) => errors.push(chunk))
  child.stdin?.end(input)
  const code = await new Promise<number>((resolve) => child.once('close', (given) => resolve(given ?? -1)))
  return { code, stdout: Buffer.concat(out), stderr: Buffer.concat(errors).toString() }
}

/** Files of a home that hold one of these, keys apart. */
async function filesWith(home: string, wanted: readonly string[]): Promise<readonly string[]> {
  const found: string[] = []
  for (const file of await readdir(home, { recursive: true, withFileTypes: true })) {
    const path = join(file.parentPath, file.name)
    if (!file.isFile() || path.includes('/keep/secret/')) continue
    const bytes = await readFile(path)
    if (wanted.some((text) => bytes.includes(text) || bytes.includes(Buffer.from(text, 'utf16le'))))
      found.push(relative(home, path))
  }
  return found
}

const newest = async (peer: SkeinPeer): Promise<string | undefined> =>
  (await peer.json<ClipGetResult>('clip', 'get')).text
const history = (peer: SkeinPeer, ...args: readonly string[]): Promise<readonly ClipItem[]> =>
  peer.json('clip', 'history', ...args)

describeWith(['ip', 'nft', 'netns'], 'one clipboard', () => {
  test('goes through pipes byte for byte, is searched, pinned, pasted again, deleted, and survives restarts', async () => {
    await using pair = await openPair()
    const { alice, bob } = pair
    await alice.up()
    await bob.up()
    await alice.run('clip', 'set', 'before they met')
    await pairPeers(alice, bob)
    await until('the old item', async () => (await newest(bob)) === 'before they met')

    const text = 'zwölf\r\n\u0000 lines\n'
    expect((await pair.pipe(alice, ['clip', 'set'], Buffer.from(text))).code).toBe(0)
    await until('the text', async () => (await newest(bob)) === text)
    expect((await pair.pipe(bob, ['clip', 'get'])).stdout.toString()).toBe(text)
    const picture = Buffer.concat([
      Buffer.from('89504e470d0a1a0a', 'hex'),
      createSystemRandom().bytes(3_000_000),
    ])
    expect((await pair.pipe(bob, ['clip', 'set'], picture)).code).toBe(0)
    await until('the picture', async () => (await history(alice))[0]?.mediaType === 'image/png')
    expect((await pair.pipe(alice, ['clip', 'get'])).stdout.equals(picture)).toBe(true)
    expect((await pair.pipe(alice, ['clip', 'get', '--type', 'text/html'])).stderr).toContain(
      'it has: image/png',
    )
    expect((await pair.pipe(alice, ['clip', 'set'], Buffer.of(0xff, 0xfe))).stderr).toContain(
      'this is no text',
    )

    const [item] = await history(alice, '--search', 'ZWÖLF')
    const id = item?.id.slice(0, 10) ?? ''
    expect((await alice.run('clip', 'pin', id)).code).toBe(0)
    await until('the pin', async () => (await history(bob, '--pinned')).length === 1)
    expect((await bob.run('clip', 'clear')).code).toBe(2)
    expect(await bob.json('clip', 'clear', '--yes')).toEqual({ count: 2 })
    await until('the rest gone', async () => (await history(alice)).length === 1)
    expect((await bob.run('clip', 'paste', id)).code).toBe(0)
    await until('it is the newest again', async () => (await history(alice)).length === 2)
    expect((await alice.run('clip', 'delete', id)).code).toBe(0)
    expect((await alice.run('clip', 'delete', id)).stderr).toContain('no clipboard item has this id')

    await alice.run('down')
    await bob.run('clip', 'set', 'while alice was away')
    expect(await bob.json<ClipState>('clip', 'pause', '--for', '1h')).toMatchObject({ state: 'paused' })
    await bob.run('down')
    await alice.up()
    await alice.run('clip', 'set', 'while bob was away')
    expect((await bob.up()).clipboard.state).toBe('paused')
    expect((await bob.run('clip', 'resume')).stdout).toMatch(/^Clipboard: memory, \d items?$/)
    await until('both have both', async () => {
      const [one, other] = [await history(alice), await history(bob)]
      return one.length === 3 && JSON.stringify(one) === JSON.stringify(other)
    })
  }, 120_000)

  test('a home without its keys shows nothing of what was copied', async () => {
    await using pair = await openPair()
    const { alice, bob } = pair
    await alice.up()
    await bob.up()
    await pairPeers(alice, bob)
    const canaries = ['Canary-short-5512', 'Canary-long-7731', 'x-canary-type']
    await alice.run('clip', 'set', `${canaries[0]} typed as a word`)
    await until('the short one', async () => (await newest(bob))?.startsWith('Canary-short') ?? false)
    const long = Buffer.from(`${canaries[1]} `.repeat(40_000))
    await pair.pipe(bob, ['clip', 'set', '--type', 'text/x-canary-type'], long)
    await until('the long one', async () => (await history(alice))[0]?.sizeBytes === long.byteLength)
    const read = await pair.pipe(alice, ['clip', 'get', '--type', 'text/x-canary-type'])
    expect(read.stdout.equals(long)).toBe(true)
    await alice.run('clip', 'search', 'canary')
    for (const peer of [alice, bob]) {
      // Running, and stopped
      expect(await filesWith(peer.home, canaries)).toEqual([])
      await peer.run('down')
      expect(await filesWith(peer.home, canaries)).toEqual([])
    }
    // The search itself finds what is there: the key opens it all again
    await writeFile(join(alice.home, 'probe'), canaries[0] ?? '')
    expect(await filesWith(alice.home, canaries)).toEqual(['probe'])
    await alice.up()
    expect((await history(alice, '--search', 'canary-short')).length).toBe(1)
  }, 120_000)

  test('a device that may not read the clipboard gets neither its items nor its keys', async () => {
    await using pair = await openPair()
    const { alice, bob } = pair
    await alice.up()
    await bob.up()
    await pairPeers(alice, bob, '--role', 'limited')
    await until('the link', async () => (await bob.status()).links.some((link) => link.state === 'up'))
    expect((await alice.run('clip', 'set', 'among full devices')).code).toBe(0)
    const refused = await bob.run('clip', 'set', 'from a limited device')
    expect([refused.code, refused.stderr]).toEqual([4, expect.stringContaining('only a full device')])
    // The exchange of keys and of digests had its turn
    await new Promise((resolve) => setTimeout(resolve, 3_000))
    expect(await history(bob)).toEqual([])
    expect(await readdir(join(bob.home, 'keep/secret'))).not.toContain('clipboard-keys.value')
    expect(await readdir(join(alice.home, 'keep/secret'))).toContain('clipboard-keys.value')
  }, 120_000)

  test('a peer killed in the middle of a long content leaves a clear error, and the content comes when it is back', async () => {
    await using pair = await openPair()
    const { alice, bob } = pair
    const scratch = await mkdtemp(join(tmpdir(), 'skein-clip-'))
    onTestFinished(() => rm(scratch, { recursive: true, force: true }))
    await alice.up()
    await alice.run('down')
    await writeFile(join(alice.home, 'settings.json'), JSON.stringify({ sendKBps: 3_000 }))
    const { pid } = await alice.up()
    await bob.up()
    await pairPeers(alice, bob)
    const long = Buffer.from(createSystemRandom().bytes(20_000_000))
    expect((await pair.pipe(alice, ['clip', 'set', '--type', 'application/x-long'], long)).code).toBe(0)
    await until('the item', async () => (await history(bob)).length === 1)
    const cut = pair.pipe(bob, ['clip', 'get'])
    const parts = join(bob.home, 'data/clipboard')
    await until('bytes under way', async () => {
      const names = await readdir(parts)
      const sizes = await Promise.all(
        names.map(async (name) => (await readFile(join(parts, name))).byteLength),
      )
      return sizes.some((size) => size > 1_000_000)
    })
    process.kill(pid, 'SIGKILL')
    const outcome = await cut
    expect(outcome.code).toBe(1)
    expect(outcome.stdout.byteLength).toBe(0)
    expect(outcome.stderr).toContain('this content is on another device that is not in reach')
    expect(await readdir(parts)).toEqual([])
    await writeFile(join(alice.home, 'settings.json'), '{}')
    await alice.up()
    await until('the link', async () => (await bob.status()).links.some((link) => link.state === 'up'))
    expect((await pair.pipe(bob, ['clip', 'get'])).stdout.equals(long)).toBe(true)
    expect((await bob.status()).clipboard.heldBytes).toBeGreaterThan(long.byteLength)
  }, 120_000)
})
