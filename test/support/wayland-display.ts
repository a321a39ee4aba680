/** A real Wayland compositor without a screen: Sway, which refuses to be root and then runs as nobody. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chown, mkdtemp, rm, watch, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface WaylandTestDisplay extends AsyncDisposable {
  /** The environment for programs of this session. */
  readonly variables: Readonly<Record<string, string>>
  stop(): Promise<void>
  start(): Promise<void>
  /** `wl-copy`. */
  copy(type: string, content: Uint8Array): Promise<void>
  /** `wl-paste`. @returns undefined when there is none of this type. */
  paste(type: string): Promise<Uint8Array | undefined>
}

const nobody = 65534
const socketName = 'wayland-1'

export async function startWaylandDisplay(): Promise<WaylandTestDisplay> {
  const folder = await mkdtemp(join(tmpdir(), 'skein-wayland-'))
  await writeFile(join(folder, 'config'), 'xwayland disable\n')
  const isRoot = process.getuid?.() === 0
  if (isRoot) await chown(folder, nobody, nobody)
  const variables = {
    PATH: process.env['PATH'] ?? '',
    XDG_RUNTIME_DIR: folder,
    WAYLAND_DISPLAY: socketName,
  }
  const start = async (): Promise<ChildProcess> => {
    const drop = ['setpriv', `--reuid=${nobody}`, `--regid=${nobody}`, '--clear-groups']
    const [command, ...args] = [...(isRoot ? drop : []), 'sway', '-c', join(folder, 'config')]
    const ending = new AbortController()
    const changes = watch(folder, { signal: ending.signal })
    const headless = { WLR_BACKENDS: 'headless', WLR_LIBINPUT_NO_DEVICES: '1', WLR_RENDERER: 'pixman' }
    const server = spawn(command, args, { env: { ...variables, ...headless }, stdio: 'ignore' })
    const ended = once(server, 'exit').then(() => Promise.reject(new Error('sway ended')))
    const ready = async (): Promise<void> => {
      for await (const { filename } of changes) if (filename === socketName) break
    }
    await Promise.race([ready(), ended])
    ending.abort()
    ended.catch(() => undefined)
    return server
  }
  let server = await start()
  const stop = async (): Promise<void> => {
    if (server.exitCode !== null || server.signalCode !== null) return
    server.kill('SIGKILL')
    await once(server, 'exit')
    await rm(join(folder, socketName), { force: true })
  }
  return {
    variables,
    stop,
    async start() {
      server = await start()
    },
    async copy(type, content) {
      const child = spawn('wl-copy', ['--type', type], {
        env: variables,
        stdio: ['pipe', 'ignore', 'ignore'],
      })
      child.stdin.end(content)
      await once(child, 'exit')
    },
    async paste(type) {
      const args = ['--no-newline', '--type', type]
      const child = spawn('wl-paste', args, { env: variables, stdio: ['ignore', 'pipe', 'ignore'] })
      const chunks: Buffer[] = []
      child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk))
      await once(child, 'close')
      return child.exitCode === 0 ? new Uint8Array(Buffer.concat(chunks)) : undefined
    },
    async [Symbol.asyncDispose]() {
      await stop()
      await rm(folder, { recursive: true })
    },
  }
}
