/** The part of the untyped package `x11` that the clipboard uses. Ids and atoms are 32-bit numbers; 0 is None. */
declare module 'x11' {
  type Callback<T> = (error: Error | null | undefined, value: T) => boolean | void

  export interface XEvent {
    readonly type: number
    readonly name?: string
    readonly [field: string]: unknown
  }

  export interface XProperty {
    readonly type: number
    readonly format: number
    readonly bytesAfter: number
    readonly data: Uint8Array
  }

  export interface XFixes {
    readonly firstEvent: number
    SelectSelectionInput(window: number, selection: number, mask: number): void
  }

  export interface XDisplay {
    readonly screen: readonly { readonly root: number }[]
    /** In words of four bytes. */
    readonly max_request_length: number
  }

  export interface XClient {
    atoms: Record<string, number>
    atom_names: Record<number, string>
    seq_num: number
    readonly pack_stream: {
      get: (length: number, callback: (packet: Uint8Array) => void) => void
      readonly _readQueue: {
        readonly length: number
        readonly callback: (packet: Uint8Array) => void
      }[]
      /** A part of a request; kept until it is written. */
      put(part: Uint8Array): void
      /** The parts since the last are one request. */
      submit(expectsAnswer: boolean): void
    }
    on(name: 'event', listener: (event: XEvent) => void): void
    on(name: 'error', listener: (error: Error) => void): void
    require(name: 'fixes', callback: Callback<XFixes>): void
    AllocID(): number
    CreateWindow(...fields: readonly (number | Readonly<Record<string, number>>)[]): void
    DestroyWindow(window: number): void
    ChangeWindowAttributes(
      window: number,
      values: Readonly<Record<string, number>>,
      callback?: Callback<void>,
    ): void
    InternAtom(onlyIfExists: boolean, name: string, callback: Callback<number>): void
    ChangeProperty(
      mode: number,
      window: number,
      property: number,
      type: number,
      format: number,
      data: Uint8Array,
    ): void
    DeleteProperty(window: number, property: number): void
    GetProperty(
      deletes: number,
      window: number,
      property: number,
      type: number,
      offsetWords: number,
      lengthWords: number,
      callback: Callback<XProperty>,
    ): void
    SetSelectionOwner(owner: number, selection: number, timeMs: number): void
    GetSelectionOwner(selection: number, callback: Callback<number>): void
    ConvertSelection(
      requestor: number,
      selection: number,
      target: number,
      property: number,
      timeMs: number,
    ): void
    SendEvent(
      destination: number,
      propagates: number,
      mask: number,
      event: Readonly<Record<string, unknown>>,
    ): void
  }

  export interface XClientOptions {
    readonly display: string
    readonly stream: unknown
    readonly auth: { readonly name: string; readonly data: string }
    readonly disableBigRequests: boolean
  }

  export function createClient(
    options: XClientOptions,
    ready: (error: Error | undefined, display: XDisplay) => void,
  ): XClient
}
