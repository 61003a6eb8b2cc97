"""The front of the one port: plain HTTP, TLS and `CONNECT` told apart by a connection's first bytes.

`sniff.py` looks at them and hands the connection on; `authority.py` is the certificate authority behind the TLS;
`hosts.py` knows the host names that AWS uses, and which of them mean us. Clients that build AWS's own URLs whatever
`AWS_ENDPOINT_URL` says (both SageMaker SDKs, for STS) get here through `HTTPS_PROXY`, which `server/environment.py` sets.
"""
