/** Why a connection could not be made, in words and with what to look at. The codes are what Node 24 reports. */
import type { IncomingMessage } from "node:http";
import { ErrorCode, OutpostError } from "./errors.ts";

/** What Node adds to errors of sockets and TLS. */
interface ConnectError extends Error {
  readonly code?: string;
  readonly cert?: { readonly subjectaltname?: string };
}

interface Verdict {
  readonly code: ErrorCode;
  readonly message: string;
}

function namesOf(error: ConnectError): string {
  const names = error.cert?.subjectaltname;
  return names === undefined ? "" : ` (${names.replaceAll("IP Address:", "").replaceAll("DNS:", "")})`;
}

/** TLS failures without a code of their own carry OpenSSL's words in the message. */
function protocolFailure(host: string, message: string): string {
  if (message.includes("wrong version number")) return `what listens at ${host} does not speak TLS`;
  if (message.includes("alert protocol version")) return `what listens at ${host} does not speak TLS 1.3`;
  return `the TLS handshake with ${host} failed: ${message}`;
}

function verdict(host: string, error: ConnectError): Verdict {
  const unreachable = (message: string): Verdict => ({ code: ErrorCode.controllerUnreachable, message });
  const denied = (message: string): Verdict => ({ code: ErrorCode.denied, message });
  switch (error.code) {
    case "ECONNREFUSED":
      return unreachable(`nothing listens at ${host}; is the controller running?`);
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return unreachable(`the name in ${host} cannot be resolved`);
    case "ETIMEDOUT":
      return unreachable(`${host} does not answer; is a firewall in between?`);
    case "EHOSTUNREACH":
    case "ENETUNREACH":
      return unreachable(`there is no route to ${host}`);
    case "ECONNRESET":
    case "EPIPE":
      return unreachable(`${host} closed the connection while it was being made`);
    case "EPROTO":
    case "ERR_SSL_WRONG_VERSION_NUMBER":
    case "ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION":
      return unreachable(protocolFailure(host, error.message));
    case "SELF_SIGNED_CERT_IN_CHAIN":
    case "UNABLE_TO_VERIFY_LEAF_SIGNATURE":
    case "DEPTH_ZERO_SELF_SIGNED_CERT":
    case "UNABLE_TO_GET_ISSUER_CERT":
    case "UNABLE_TO_GET_ISSUER_CERT_LOCALLY":
    case "CERT_SIGNATURE_FAILURE":
    case "INVALID_PURPOSE":
      return denied(
        `the server at ${host} is not signed by the CA we trust; it is another controller, or one set up anew`,
      );
    case "CERT_HAS_EXPIRED":
      return denied(
        `the certificate of the server at ${host} has expired, or the clock of this machine is wrong`,
      );
    case "CERT_NOT_YET_VALID":
      return denied(
        `the certificate of the server at ${host} is not valid yet; is the clock of this machine right?`,
      );
    case "ERR_TLS_CERT_ALTNAME_INVALID":
      return denied(
        `the certificate of the server at ${host} is for other names${namesOf(error)}; use one of them`,
      );
    case "ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED":
      return denied(`${host} wants a certificate, and we have none`);
    case "ERR_SSL_SSL/TLS_ALERT_BAD_CERTIFICATE":
    case "ERR_SSL_SSL/TLS_ALERT_CERTIFICATE_EXPIRED":
    case "ERR_SSL_SSL/TLS_ALERT_CERTIFICATE_UNKNOWN":
    case "ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE":
    case "ERR_SSL_TLSV1_ALERT_UNKNOWN_CA":
      return denied(`${host} does not accept our certificate`);
    case "ERR_OSSL_X509_KEY_VALUES_MISMATCH":
      return {
        code: ErrorCode.invalidArgument,
        message: "our certificate and our key do not belong together",
      };
    default:
      return unreachable(`cannot connect to ${host}: ${error.message}`);
  }
}

/** @param error what the socket reported */
export function dialError(url: URL, error: ConnectError): OutpostError {
  const { code, message } = verdict(url.host, error);
  const data = { url: url.href, ...(error.code === undefined ? {} : { cause: error.code }) };
  return new OutpostError(code, message, { cause: error, data });
}

/** The server answered the upgrade with something else than 101. */
export function refusalError(url: URL, response: IncomingMessage): OutpostError {
  const said = response.headers["x-outpost-reason"];
  const reason = typeof said === "string" ? said : `HTTP ${String(response.statusCode)}`;
  const retryAfterSeconds = Number(response.headers["retry-after"] ?? Number.NaN);
  const data = Number.isFinite(retryAfterSeconds) ? { retryAfterMs: retryAfterSeconds * 1000 } : {};
  switch (response.statusCode) {
    case 401:
    case 403:
      return new OutpostError(ErrorCode.denied, `${url.host} refused the connection: ${reason}`, { data });
    case 503:
      return new OutpostError(ErrorCode.busy, `${url.host} asks to come back later: ${reason}`, { data });
    default:
      return new OutpostError(
        ErrorCode.controllerUnreachable,
        `${url.host} refused the connection: ${reason}`,
        {
          data,
        },
      );
  }
}
