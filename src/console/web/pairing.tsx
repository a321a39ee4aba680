/** Pairing, both sides: a window here with code and QR, or a code of the other device. Nothing joins before a person agrees. */
import { generate } from 'lean-qr'
import type { ComponentChildren, JSX } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import type { PairEvent, PairJoinEvent } from '../../peer/api-pairing.ts'
import { commandLine } from './format.ts'
import { Action, Card, Cli, Fault, Said } from './parts.tsx'
import { call, stream } from './session.ts'

type Opened = PairEvent & { readonly kind: 'opened' }
type Asked = PairEvent & { readonly kind: 'confirm' }
type Compared = { readonly requestId: string; readonly digits: string }

interface WindowState {
  readonly opened?: Opened | undefined
  readonly shortCode?: string
  readonly asked?: Asked | undefined
  readonly compared?: Compared | undefined
  readonly note?: ComponentChildren
  readonly error?: unknown
}

export const Pairing = (): JSX.Element => (
  <Card title="Pair a device">
    <div class="columns">
      <OpenWindow />
      <JoinMesh />
    </div>
  </Card>
)

function OpenWindow(): JSX.Element {
  const [state, setState] = useState<WindowState>({})
  const ending = useRef<AbortController | undefined>(undefined)
  // A window that nobody sees is closed
  useEffect(() => () => ending.current?.abort(), [])
  const open = (): void => {
    ending.current?.abort()
    const controller = new AbortController()
    ending.current = controller
    setState({})
    followWindow(controller.signal, (part) => setState((before) => ({ ...before, ...part })))
  }
  const answer = (requestId: string, accept: boolean): Promise<unknown> => {
    setState((before) => ({ ...before, asked: undefined, compared: undefined }))
    return call('POST', '/pairing/confirm', { requestId, accept })
  }
  return (
    <div>
      <h3>Let a device join this mesh</h3>
      <Action
        label={state.opened === undefined ? 'Show a code' : 'Show a new code'}
        cli="skein pair"
        run={() => Promise.resolve(open())}
      />
      {state.opened !== undefined && (
        <div class="pairing">
          <QrCode text={state.opened.longCode} />
          <div>
            <p>On the new device:</p>
            <Cli line={commandLine('pair', state.shortCode ?? state.opened.shortCode)} />
            <p class="code" data-code>
              {state.shortCode ?? state.opened.shortCode}
            </p>
            <button type="button" onClick={() => ending.current?.abort()}>
              Close
            </button>
          </div>
        </div>
      )}
      {state.compared !== undefined && <Compare compared={state.compared} answer={answer} />}
      {state.asked !== undefined && <Request asked={state.asked} answer={answer} />}
      {state.note !== undefined && <p role="status">{state.note}</p>}
      <Fault error={state.error} />
    </div>
  )
}

/** Follows the window until it closes; leaving the page closes it too. */
function followWindow(signal: AbortSignal, set: (part: WindowState) => void): void {
  const follow = async (): Promise<void> => {
    for await (const { data } of stream('/pairing', { method: 'POST', body: {}, signal })) {
      const event = data as PairEvent // because: the type of this stream in the api
      switch (event.kind) {
        case 'opened':
          set({ opened: event, shortCode: event.shortCode })
          break
        case 'code':
          set({ shortCode: event.shortCode, note: `That was a wrong code. ${event.codesLeft} left.` })
          break
        case 'compare':
          set({ compared: event })
          break
        case 'confirm':
          set({ asked: event })
          break
        case 'joined':
          set({
            note: (
              <>
                ● <Said text={event.name} /> has joined.
              </>
            ),
          })
          break
        case 'failed':
          set({ note: <Said text={`An attempt failed: ${event.error.message}`} /> })
          break
        case 'closed':
          return
      }
    }
  }
  follow()
    .catch((error: unknown) => (signal.aborted ? undefined : set({ error })))
    .finally(() => set({ opened: undefined, asked: undefined, compared: undefined }))
}

interface Answering {
  readonly answer: (requestId: string, accept: boolean) => Promise<unknown>
}

const Request = ({ asked, answer }: Answering & { readonly asked: Asked }): JSX.Element => (
  <div class="ask" role="alertdialog" aria-label="A device wants to join">
    <h4>A device wants to join</h4>
    <dl class="facts">
      <dt>name</dt>
      <dd>
        <Said text={asked.name} />
      </dd>
      <dt>kind</dt>
      <dd>
        <Said text={asked.deviceKind} />
      </dd>
      <dt>at</dt>
      <dd>
        <Said text={asked.address} />
      </dd>
      <dt>may do</dt>
      <dd>
        {asked.role === 'full'
          ? 'everything: read and write all folders, add and remove devices'
          : asked.role}
      </dd>
    </dl>
    <Action label="Let it in" cli="skein pair, then y" run={() => answer(asked.requestId, true)} />
    <Action label="Refuse" cli="skein pair, then n" run={() => answer(asked.requestId, false)} />
  </div>
)

const Compare = ({ compared, answer }: Answering & { readonly compared: Compared }): JSX.Element => (
  <div class="ask" role="alertdialog" aria-label="Compare digits">
    <p>Both screens must show the same digits:</p>
    <p class="code">{compared.digits}</p>
    <Action label="They are the same" cli="skein pair, then y" run={() => answer(compared.requestId, true)} />
    <Action label="They differ" cli="skein pair, then n" run={() => answer(compared.requestId, false)} />
  </div>
)

function JoinMesh(): JSX.Element {
  const [code, setCode] = useState('')
  const [address, setAddress] = useState('')
  const [step, setStep] = useState('')
  const [compared, setCompared] = useState<Compared>()
  const ending = useRef<AbortController | undefined>(undefined)
  useEffect(() => () => ending.current?.abort(), [])
  const join = async (): Promise<void> => {
    const body = {
      ...(code !== '' && { code: code.trim() }),
      ...(address !== '' && { address: address.trim() }),
    }
    const controller = new AbortController()
    ending.current = controller
    const { signal } = controller
    for await (const { data } of stream('/pairing/join', { method: 'POST', body, signal })) {
      const event = data as PairJoinEvent // because: the type of this stream in the api
      setCompared(event.kind === 'compare' ? event : undefined)
      setStep(stepOf(event))
    }
  }
  const answer = (requestId: string, accept: boolean): Promise<unknown> => {
    setCompared(undefined)
    return call('POST', '/pairing/confirm', { requestId, accept })
  }
  return (
    <div>
      <h3>Join the mesh of another device</h3>
      <label>
        Code
        <input
          value={code}
          autocomplete="off"
          spellcheck={false}
          onInput={(event) => setCode(event.currentTarget.value)}
        />
      </label>
      <details>
        <summary>It is not found by itself</summary>
        <label>
          Its address
          <input
            value={address}
            placeholder="192.168.1.5:4001"
            onInput={(event) => setAddress(event.currentTarget.value)}
          />
        </label>
      </details>
      <Action
        label="Join"
        cli={commandLine(
          'pair',
          code === '' ? 'CODE' : code,
          ...(address === '' ? [] : ['--address', address]),
        )}
        isDisabled={code === '' && address === ''}
        run={join}
      />
      {step !== '' && <p role="status">{step}</p>}
      {compared !== undefined && <Compare compared={compared} answer={answer} />}
    </div>
  )
}

function stepOf(event: PairJoinEvent): string {
  switch (event.kind) {
    case 'searching':
      return 'Looking for the other device …'
    case 'connected':
      return 'Connected.'
    case 'compare':
      return 'Compare the digits on both screens.'
    case 'waiting':
      return 'Now confirm on the other device.'
    case 'joined':
      return `● Joined: this device is one of ${event.deviceCount} now.`
  }
}

/** As one path: no picture has to be loaded, and no style is inline. */
function QrCode({ text }: { readonly text: string }): JSX.Element {
  const code = generate(text)
  const cells: string[] = []
  for (let y = 0; y < code.size; y++)
    for (let x = 0; x < code.size; x++) if (code.get(x, y)) cells.push(`M${x + 3} ${y + 3}h1v1h-1z`)
  const size = code.size + 6
  return (
    <svg class="qr" viewBox={`0 0 ${size} ${size}`} role="img" aria-label="The code as a picture to scan">
      <rect width={size} height={size} fill="#fff" />
      <path d={cells.join('')} fill="#000" />
    </svg>
  )
}
