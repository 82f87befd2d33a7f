//! What a host list names: `grpc://HOST:PORT[/INSTANCE]`.

use std::fmt;

/// A server of the API.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// `HOST:PORT`, with brackets around an IPv6 address.
    pub authority: String,
    /// Servers may be several in one; often empty.
    pub instance: String,
}

/// What is wrong with a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadEndpoint {
    /// It begins with something else than `grpc://`.
    Scheme(String),
    /// Nothing, or no port, stands behind the scheme.
    Authority(String),
}

impl fmt::Display for BadEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scheme(name) => write!(f, "{name:?}: only grpc://HOST:PORT/INSTANCE is known"),
            Self::Authority(name) => write!(f, "{name:?}: grpc:// wants HOST:PORT behind it"),
        }
    }
}

impl std::error::Error for BadEndpoint {}

impl Endpoint {
    /// Reads a name.
    ///
    /// # Errors
    ///
    /// [`BadEndpoint`].
    pub fn parse(name: &str) -> Result<Endpoint, BadEndpoint> {
        let rest = name.strip_prefix("grpc://");
        let rest = rest.ok_or_else(|| BadEndpoint::Scheme(name.to_owned()))?;
        let (authority, instance) = rest.split_once('/').unwrap_or((rest, ""));
        let bad = || BadEndpoint::Authority(name.to_owned());
        let (host, port) = authority.rsplit_once(':').ok_or_else(bad)?;
        let is_port = port.parse().is_ok_and(|port: u16| port > 0);
        let bare_ipv6 = host.contains(':') && !(host.starts_with('[') && host.ends_with(']'));
        let odd = |byte: u8| byte.is_ascii_control() || b" @?#\\".contains(&byte);
        if host.is_empty() || !is_port || bare_ipv6 || authority.bytes().any(odd) {
            return Err(bad());
        }
        Ok(Endpoint {
            authority: authority.to_owned(),
            instance: instance.trim_end_matches('/').to_owned(),
        })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "grpc://{}", self.authority)?;
        match &*self.instance {
            "" => Ok(()),
            instance => write!(f, "/{instance}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_servers() {
        for (name, authority, instance) in [
            ("grpc://build:8980", "build:8980", ""),
            ("grpc://build:8980/", "build:8980", ""),
            ("grpc://[::1]:1/main", "[::1]:1", "main"),
            ("grpc://10.0.0.1:65535/a/b", "10.0.0.1:65535", "a/b"),
        ] {
            let endpoint = Endpoint::parse(name).unwrap();
            assert_eq!(
                (&*endpoint.authority, &*endpoint.instance),
                (authority, instance)
            );
            assert_eq!(Endpoint::parse(&endpoint.to_string()), Ok(endpoint));
        }
    }

    #[test]
    fn what_is_no_server_is_named() {
        for name in ["http://a:1", "build:8980", ""] {
            assert_eq!(Endpoint::parse(name), Err(BadEndpoint::Scheme(name.into())));
        }
        for name in [
            "grpc://",
            "grpc://build",
            "grpc://:1",
            "grpc://a:0",
            "grpc://a:65536",
            "grpc://a:x",
            "grpc://::1:1",
            "grpc://u@a:1",
            "grpc:///x",
            "grpc://a b:1",
        ] {
            assert_eq!(
                Endpoint::parse(name),
                Err(BadEndpoint::Authority(name.into()))
            );
        }
    }
}
