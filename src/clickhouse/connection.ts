/** Where the server is and who asks. The password never appears in messages. */
export interface ConnectionSettings {
  /** With protocol, `http://` or `https://`. */
  readonly url: string;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  /** How long a server may stay silent in the midst of a request; 5 minutes unless told. */
  readonly stallTimeoutMs?: number;
}
