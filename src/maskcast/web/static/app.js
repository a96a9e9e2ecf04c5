// node_modules/preact/dist/preact.mjs
var n$1;
var t$2;
var r$2;
var u$2;
var i$2;
var f$2;
var o$2;
var e$2;
var l$2;
var c$2;
var a$2;
var s$2;
var h$3 = Symbol.for("pv");
var p$3 = {};
var y$3 = [];
var v$2 = /^m(i|n|o|s|text|space)$/;
var w$3 = Array.isArray;
var d$2 = y$3.slice;
var _$2 = Object.assign;
function g$3(n) {
	n && n.parentNode && n.remove();
}
function k$2(n, t, r) {
	var u, i, f, o = {}, e = arguments.length;
	for (f in t) "key" == f ? u = t[f] : "ref" == f && "function" != typeof n ? i = t[f] : o[f] = t[f];
	return e > 2 && (o.children = e > 3 ? d$2.call(arguments, 2) : r), m$3(n, o, u, i, null);
}
function m$3(r, u, i, f, o) {
	var e = {
		type: r,
		props: u,
		key: i,
		ref: f,
		__k: null,
		__: null,
		__b: 0,
		__e: null,
		__c: null,
		constructor: h$3,
		__v: o || ++t$2,
		__i: -1,
		__u: 0
	};
	return !o && n$1.vnode && n$1.vnode(e), e;
}
function $(n) {
	return n.children;
}
function x$2(n, t) {
	this.props = n, this.context = t, this.__g = 0;
}
function S$1(n, t) {
	if (null == t) return n.__ && S$1(n.__, n.__i + 1);
	for (var r; t < n.__k.length; t++) if ((r = n.__k[t]) && r.__e) return r.__e;
	return "function" != typeof n.type || n.props.__P ? null : S$1(n);
}
function C$1(t) {
	var r, u = t.__v, i = u.__e, f = [], o = [], e = t.__P;
	e && ((r = _$2({ constructor: h$3 }, u)).__v = u.__v + 1, n$1.vnode && n$1.vnode(r), z$1(e, r, u, t.__n, e.namespaceURI, 32 & u.__u ? [i] : null, f, i || S$1(u), 32 & u.__u, o), r.__v = u.__v, r.__.__k[r.__i] = r, E$1(f, r, o), u.__ = u.__e = null, r.__e != i && j$2(r));
}
function j$2(n) {
	if ((n = n.__) && n.__c && !n.props.__P) return n.__e = null, n.__k.some(function(t) {
		return t && (n.__e = t.__e);
	}), j$2(n);
}
function L(t) {
	(8 & t.__g || (t.__g |= 8, u$2.push(t), f$2++)) && i$2 == n$1.debounceRendering || ((i$2 = n$1.debounceRendering) || queueMicrotask)(H);
}
function H() {
	try {
		for (var n, t = 1; u$2.length;) u$2.length > t && u$2.sort(o$2), n = u$2.shift(), t = u$2.length, 8 & n.__g && C$1(n);
	} finally {
		(f$2 = u$2.length) && (i$2 || queueMicrotask)(H);
	}
}
function I(n, t, r, u, i, f, o, e, l, c, a) {
	var s, h, v, w, d, _, g = u.__k || y$3, k = t.length;
	for (l = q$1(r, t, g, l, k), s = 0; s < k; s++) null != (v = r.__k[s]) && (h = ~v.__i && g[v.__i] || p$3, v.__i = s, _ = z$1(n, v, h, i, f, o, e, l, c, a), w = v.__e, (h.ref != v.ref || 8 & h.__u) && (h.ref && G(h.ref, null, v, h), v.ref && a.push(v.ref, v.__c || w, v)), d = d || w, 4 & v.__u ? (l = A$2(v, l, n, !h.__v), h.__e && (h.__e = null)) : "function" == typeof v.type && void 0 !== _ ? l = _ : w && (l = w.nextSibling), v.__u &= -21);
	return r.__e = d, l;
}
function q$1(n, t, r, u, i) {
	var f, o, e, l, c, a, s, p, y, v = r.length, d = v, _ = 0, g = 0, k = n.__k = Array(i);
	for (f = 0; f < i; f++) null != (o = t[f]) && "boolean" != typeof o && "function" != typeof o ? ("object" != typeof o || o.constructor === String ? o = k[f] = m$3(null, o) : w$3(o) ? o = k[f] = m$3($, { children: o }) : o.constructor === h$3 && o.__b ? o = k[f] = m$3(o.type, o.props, o.key, o.ref, o.__v) : k[f] = o, l = f + _, o.__ = n, o.__b = n.__b + 1, e = null, ~(c = o.__i = P(o, r, l, d)) && (d--, (e = r[c]) && (e.__u |= 2)), e && e.__v ? (o.__u |= 16, c == l - 1 ? _-- : c == l + 1 ? _++ : c != l && (c > l ? _-- : _++, g = 1)) : (~c || (i > v ? _-- : i < v && _++), "function" != typeof o.type && (o.__u |= 4))) : k[f] = null;
	if (g) {
		for (a = [], s = [], f = 0; f < i; f++) if ((o = k[f]) && 16 & o.__u) {
			for (_ = 0, p = a.length; _ < p;) a[y = _ + p >> 1] < o.__i ? _ = y + 1 : p = y;
			a[_] = o.__i, s[f] = _ + 1;
		}
		for (_ = a.length; f--;) s[f] && (s[f] == _ ? _-- : k[f].__u |= 4);
	}
	if (d) for (f = 0; f < v; f++) !(e = r[f]) || 2 & e.__u || (e.__e == u && (u = S$1(e)), J(e, e));
	return u;
}
function A$2(n, t, r, u) {
	var i, f, o, e;
	if ("function" == typeof n.type) {
		if (n.props.__P) return t;
		if (i = n.__k) for (f = 0; f < i.length; f++) i[f] && (i[f].__ = n, t = A$2(i[f], t, r, !1));
		return t;
	}
	for (t && !t.parentNode && (t = S$1(n)) && !t.parentNode && (t = null), o = n.__e, e = t; e && 8 == e.nodeType;) e = e.nextSibling;
	for (o != e && (!u && r.moveBefore && o.parentNode ? r.moveBefore(o, t) : r.insertBefore(o, t || null)), t = o; (t = t && t.nextSibling) && 8 == t.nodeType && !t.data.startsWith("$s"););
	return t;
}
function P(n, t, r, u) {
	var i, f = n.key, o = n.type, e = t[r], l = e && !(2 & e.__u);
	if (null === e && null == f || l && f == e.key && o == e.type) return r;
	if (u > (l ? 1 : 0)) {
		for (i = r - 1; i >= 0; i--) if ((e = t[i]) && !(2 & e.__u) && f == e.key && o == e.type) return i;
		for (i = r + 1; i < t.length; i++) if ((e = t[i]) && !(2 & e.__u) && f == e.key && o == e.type) return i;
	}
	return -1;
}
function T$2(n, t, r) {
	r ??= "", "-" == t[0] ? n.setProperty(t, r) : n[t] = r;
}
function N(n, t, r, u, i) {
	var f, o;
	if ("style" == t) if ("string" == typeof r) n.style.cssText = r;
	else {
		if ("string" == typeof u && (n.style.cssText = u = ""), u) for (t in u) r && t in r || T$2(n.style, t);
		if (r) for (t in r) u && r[t] == u[t] || T$2(n.style, t, r[t]);
	}
	else if ("o" == t[0] && "n" == t[1]) "function" != typeof r && (r = null), "function" != typeof u && (u = null), (n.__e || (n.__e = {}))[t] = r, r && u || (o = a$2[t] || (a$2[t] = V(t)), (n.__a || (n.__a = {}))[t] = c$2, f = t != (t = t.replace(l$2, "$1")), (t = t.slice(2))[0] < "a" && (t = t.toLowerCase()), r ? n.addEventListener(t, o, f) : n.removeEventListener(t, o, f));
	else {
		if ("http://www.w3.org/2000/svg" == i) t = t.replace(/xlink(H|:h)/, "h").replace(/sName$/, "s");
		else if ("width" != t && "height" != t && "href" != t && "list" != t && "form" != t && "tabIndex" != t && "download" != t && "rowSpan" != t && "colSpan" != t && "role" != t && "popover" != t && t in n) try {
			n[t] = null == r ? "" : r;
			return;
		} catch (n) {}
		if ("function" == typeof r) return;
		null == r || !1 === r && "-" != t[4] ? n.removeAttribute(t) : n.setAttribute(t, "popover" == t && 1 == r ? "" : r);
	}
}
function V(t) {
	return function(r) {
		var u = this.__e;
		if (u) {
			if (u = u[t], null == r[e$2]) r[e$2] = c$2++;
			else if (r[e$2] < this.__a[t]) return;
			return u(n$1.event ? n$1.event(r) : r);
		}
	};
}
function z$1(t, r, u, i, f, o, e, l, c, a) {
	var s, p, v, d, k, b, m, M, C, j, L, H, q, A, O, P, T, N, V = r.type;
	if (r.constructor !== h$3) return null;
	128 & u.__u && (c = 32 & u.__u, s = u.__c.__z) && (r.__u |= c, p = o = [], 8 == s.nodeType ? l = B$1(s, o) : o.push(s), l = o[0] || l), (s = n$1.__b) && s(r);
	n: if ("function" == typeof V) {
		v = e.length;
		try {
			if (M = r.props, C = (s = V.prototype) && s.render, j = (s = V.contextType) && i[s.__c], L = s ? j ? j.props.value : s.__ : i, (d = u.__c) ? (r.__c = d, 2 & d.__g && (d.__g |= 1)) : (C ? r.__c = d = new V(M, L) : (r.__c = d = new x$2(M, L), d.constructor = V, d.render = K), j && j.sub(d), d.state || (d.state = {}), d.__n = i, d.__g |= 8, d.__h = [], d.__k = []), C && (d.__s || (d.__s = d.state), V.getDerivedStateFromProps && (d.__s == d.state && (d.__s = _$2({}, d.__s)), _$2(d.__s, V.getDerivedStateFromProps(M, d.__s)))), k = d.props, b = d.state, d.__v = r, u.__c) {
				if (M !== k && C && !V.getDerivedStateFromProps && d.componentWillReceiveProps && d.componentWillReceiveProps(M, L), r.__v == u.__v && !(8 & d.__g) || !(4 & d.__g) && d.shouldComponentUpdate && !1 === d.shouldComponentUpdate(M, d.__s, L)) {
					r.__v != u.__v && (d.props = M, d.state = d.__s, d.__g &= -9), r.__e = u.__e, r.__k = u.__k, r.__k.some(function(n) {
						n && (n.__ = r);
					}), y$3.push.apply(d.__h, d.__k), d.__k = [], d.__h.length && e.push(d), l = S$1(u);
					break n;
				}
				d.componentWillUpdate && d.componentWillUpdate(M, d.__s, L), C && d.componentDidUpdate && d.__h.push(function() {
					d.componentDidUpdate(k, b, m);
				});
			} else C && !V.getDerivedStateFromProps && d.componentWillMount && d.componentWillMount(), C && d.componentDidMount && d.__h.push(d.componentDidMount);
			d.context = L, d.props = M, d.__P = t, d.__g &= -5, H = n$1.__r, q = C ? 25 : 0;
			do
				d.__g &= -9, H && H(r), s = d.render(d.props, d.state = d.__s, d.context);
			while (8 & d.__g && ++q < 25);
			C && (y$3.push.apply(d.__h, d.__k), d.__k = []), d.state = d.__s, d.getChildContext && (i = _$2({}, i, d.getChildContext())), C && u.__c && d.getSnapshotBeforeUpdate && (m = d.getSnapshotBeforeUpdate(k, b)), A = s && s.type === $ && null == s.key ? s.props.children : s, M.__P && (s = l, f = (t = M.__P).namespaceURI, c = o = null, u.props && u.props.__P != t && (u.__k.some(function(n) {
				n && J(n, n);
			}), u.__k = null), l = u.__k ? S$1(u, 0) : null), l = I(t, w$3(A) ? A : [A], r, u, i, f, o, e, l, c, a), M.__P && (r.__e = null, l = s), r.__u &= -161, p && p.some(g$3), d.__h.length && e.push(d), 1 & d.__g && (d.__g &= -4);
		} catch (t) {
			if (e.length = v, r.__v = null, c || o) if (t && t.then) {
				if (r.__u |= 128 | c, o) {
					for (~(T = o.indexOf(l || void 0)) || (T = o.length); (N = o[T - 1]) && 8 == N.nodeType;) T--;
					for (; T < o.length; T++) if (N = o[T]) if (o[T] = null, O) {
						if (N == P) break;
					} else {
						if (8 != N.nodeType) break;
						N.data.startsWith("$s") && (P = B$1(O = N));
					}
				}
				if (!O) {
					for (; l && 8 == l.nodeType && l.nextSibling;) l = l.nextSibling;
					O = l;
				}
				(s = B$1(O = r.__c.__z || (r.__c.__z = O))) ? (r.__e = O, l = s) : r.__e = l, l = l && l.nextSibling;
			} else o && o.some(g$3);
			else r.__e = u.__e;
			r.__k || (r.__k = u.__k || []), t && t.then || D$1(r), n$1.__e(t, r, u);
		}
	} else l = r.__e = F$1(u.__e, r, u, i, f, o, e, c, a, t);
	return (s = n$1.diffed) && s(r), l;
}
function B$1(n, t) {
	if (n && 8 == n.nodeType && n.data.startsWith("$s")) for (var r = 1; n = n.nextSibling;) {
		if (8 == n.nodeType) {
			if (n.data.startsWith("$s")) r++;
			else if (n.data.startsWith("/$s") && !--r) return n;
		}
		t && t.push(n);
	}
}
function D$1(n) {
	n && (n.__c && (n.__c.__g |= 4), n.__k && n.__k.some(D$1));
}
function E$1(t, r, u) {
	for (var i = 0; i < u.length;) G(u[i++], u[i++], u[i++]);
	n$1.__c && n$1.__c(r, t), t.some(function(r) {
		try {
			t = r.__h, r.__h = [], t.some(function(n) {
				n.call(r);
			});
		} catch (t) {
			n$1.__e(t, r.__v);
		}
	});
}
function F$1(t, r, u, i, f, o, e, l, c, a) {
	var s, h, y, _, k, b, m, M, $ = u.props || p$3, x = r.props, C = r.type;
	if ("svg" == C ? f = "http://www.w3.org/2000/svg" : "math" == C ? f = "http://www.w3.org/1998/Math/MathML" : f || (f = "http://www.w3.org/1999/xhtml"), o) {
		for (s = 0; s < o.length; s++) if ((k = o[s]) && (C ? k.localName == C : 3 == k.nodeType)) {
			t = k, o[s] = null;
			break;
		}
	}
	if (!t) {
		if (M = a.ownerDocument || document, !C) return M.createTextNode(x);
		t = M.createElementNS(f, C, x.is ? x : a), l && (n$1.__m && n$1.__m(r, o), l = !1), o = null;
	}
	if (C) {
		if (a = "template" == C && t.content || t, o = "textarea" == C && null != x.defaultValue ? null : o && d$2.call(a.childNodes), !l && o) for ($ = {}, s = 0; s < t.attributes.length; s++) $[(k = t.attributes[s]).name] = k.value;
		for (s in $) k = $[s], "dangerouslySetInnerHTML" == s ? y = k : "children" == s || s in x || "value" == s && "defaultValue" in x || "checked" == s && "defaultChecked" in x || N(t, s, null, k, f);
		for (s in x) k = x[s], "children" == s ? _ = k : "dangerouslySetInnerHTML" == s ? h = k : "value" == s ? b = k : "checked" == s ? m = k : l && "function" != typeof k || $[s] === k || N(t, s, k, $[s], f);
		h ? (l || y && (h.__html == y.__html || h.__html == t.innerHTML) || (t.innerHTML = h.__html), r.__k = []) : (y && (t.textContent = ""), ("foreignObject" == C || "http://www.w3.org/1998/Math/MathML" == f && v$2.test(C)) && (f = "http://www.w3.org/1999/xhtml"), I(a, w$3(_) ? _ : [_], r, u, i, f, o, e, o ? o[0] : u.__k && S$1(u, 0), l, c), o && o.some(g$3)), l && "textarea" != C || (s = "value", "progress" == C && null == b ? t.removeAttribute(s) : null == b || b === t[s] && ("progress" != C || b) || N(t, s, b, $[s], f), s = "checked", null != m && m != t[s] && N(t, s, m, $[s], f));
	} else $ === x || l && t.data == x || (t.data = x);
	return t;
}
function G(t, r, u, i) {
	try {
		"function" == typeof t ? r ? r.__x = t(r) || 1 : i && (i = i.__c || i.__e) && (r = i.__x) && (i.__x = null, "function" == typeof r ? r() : t(null)) : t.current = r;
	} catch (t) {
		n$1.__e(t, u);
	}
}
function J(t, r, u) {
	var i, f, o, e;
	if (n$1.unmount && n$1.unmount(t), !(i = t.ref) || i.current && i.current != t.__e || G(i, null, r, t), i = t.__c) {
		if (i.componentWillUnmount) try {
			i.componentWillUnmount();
		} catch (t) {
			n$1.__e(t, r);
		}
		i.__P = i.__n = null;
	}
	if (i = t.__k) for (e = 0; e < i.length; e++) i[e] && J(i[e], r, "function" != typeof t.type || u && !t.props.__P);
	!u && (i = t.__c) && (i = i.__z) && (f = B$1(i, o = [])) && (i == t.__e && o.some(g$3), g$3(f), g$3(i)), u || g$3(t.__e), t.__e = t.__c = t.__ = null;
}
function K(n, t, r) {
	return this.constructor(n, r);
}
function Q(t, r) {
	var u, i, f, o;
	n$1.__ && n$1.__(t, r), 9 == r.nodeType && (r = r.documentElement), i = (u = t && 32 & t.__u) ? null : r.__k, r.__k = m$3($, { children: [t] }), f = [], o = [], z$1(r, r.__k, i || p$3, p$3, r.namespaceURI, i ? null : r.firstChild ? d$2.call(r.childNodes) : null, f, i ? i.__e : r.firstChild, u, o), E$1(f, r.__k, o), r.__k.props.children = null;
}
function U(n) {
	function t(n) {
		var r, u;
		return this.getChildContext || (r = new Set(), (u = {})[t.__c] = this, this.getChildContext = function() {
			return u;
		}, this.shouldComponentUpdate = function(n) {
			this.props.value != n.value && r.forEach(function(n) {
				n.__g |= 4, L(n);
			});
		}, this.sub = function(n) {
			r.add(n);
			var t = n.componentWillUnmount;
			n.componentWillUnmount = function() {
				r.delete(n), t && t.call(n);
			};
		}), n.children;
	}
	return t.__c = "__cC" + s$2++, t.__ = n, t.Provider = (t.Consumer = function(n, t) {
		return n.children(t);
	}).contextType = t, t;
}
n$1 = { __e: function(n, t, r, u) {
	for (var i, o, e; t = t.__;) if ((i = t.__c) && !(1 & i.__g)) {
		i.__g |= 4;
		try {
			if ((e = (o = i.constructor) && o.getDerivedStateFromError) && i.setState(o.getDerivedStateFromError(n)), i.componentDidCatch && (i.componentDidCatch(n, u || {}), e = 1), e && 8 & i.__g) return void (i.__g |= 2);
		} catch (t) {
			n = t;
		}
	}
	throw f$2 = 0, n;
} }, t$2 = 0, r$2 = function(n) {
	return null != n && n.constructor === h$3;
}, x$2.prototype.setState = function(n, t) {
	var r = this.__s;
	r && r != this.state || (r = this.__s = _$2({}, this.state)), "function" == typeof n && (n = n(_$2({}, r), this.props)), n && (_$2(r, n), this.__v && (t && this.__k.push(t), L(this)));
}, x$2.prototype.forceUpdate = function(n) {
	this.__v && (this.__g |= 4, n && this.__h.push(n), L(this));
}, x$2.prototype.render = $, u$2 = [], f$2 = 0, o$2 = function(n, t) {
	return n.__v.__b - t.__v.__b;
}, e$2 = Symbol(), l$2 = /(PointerCapture)$|Capture$/i, c$2 = 0, a$2 = {}, s$2 = 0;
// node_modules/preact/hooks/dist/hooks.mjs
var t$1;
var r$1;
var u$1;
var i$1;
var o$1 = Object.is;
var f$1 = 0;
var c$1 = [];
var e$1 = [];
var a$1 = n$1;
var v$1 = a$1.__b;
var l$1 = a$1.__r;
var m$2 = a$1.diffed;
var h$2 = a$1.__c;
var s$1 = a$1.unmount;
var p$2 = a$1.__;
function y$2(n, t) {
	a$1.__h && a$1.__h(r$1, n, f$1 || t), f$1 = 0;
	var u = r$1.__H || (r$1.__H = {
		__: [],
		__h: []
	});
	return n >= u.__.length && u.__.push({}), u.__[n];
}
function A$1(n, u) {
	var i = y$2(t$1++, 3);
	!a$1.__s && E(i.__H, u) && (i.__P = !0, i.__ = n, i.u = u, r$1.__H.__h.push(i));
}
function T$1(n) {
	return f$1 = 5, w$2(function() {
		return { current: n };
	}, []);
}
function w$2(n, r) {
	var u = y$2(t$1++, 7);
	return E(u.__H, r) && (u.__ = n(), u.__H = r), u.__;
}
function j$1(n) {
	var u = r$1.context[n.__c], i = y$2(t$1++, 9);
	return i.c = n, u ? (i.__ ?? (i.__ = !0, u.sub(r$1)), u.props.value) : n.__;
}
function g$2() {
	var n;
	do {
		for (; n = e$1.shift();) try {
			C(n);
		} catch (t) {
			a$1.__e(t, { __: (n = n.__P) && n.__v });
		}
		for (; n = c$1.shift();) {
			var t = n.__H;
			if (n.__P && t) try {
				t.__h.some(C), t.__h.some(D), t.__h = [];
			} catch (r) {
				t.__h = [], a$1.__e(r, n.__v);
			}
		}
	} while (e$1.length);
}
a$1.__b = function(n) {
	r$1 = null, v$1 && v$1(n);
}, a$1.__ = function(n, t) {
	n && t.__k && t.__k.__m && (n.__m = t.__k.__m), p$2 && p$2(n, t);
}, a$1.__r = function(n) {
	l$1 && l$1(n), t$1 = 0;
	var i = (r$1 = n.__c).__H;
	i && (u$1 == r$1 ? r$1.__h = [] : (i.__h.some(C), i.__h.some(D), t$1 = 0), i.__h = [], i.__.some(function(n) {
		n.__N && (n.__ = n.__N), n.u = n.__N = void 0;
	})), u$1 = r$1;
}, a$1.diffed = function(n) {
	m$2 && m$2(n);
	var t = n.__c;
	t && t.__H && (t.__H.__h.length && B(c$1.push(t)), t.__H.__.some(function(n) {
		n.u && (n.__H = n.u);
	})), u$1 = r$1 = null;
}, a$1.__c = function(n, t) {
	t.some(function(n) {
		try {
			n.__h.some(C), n.__h = n.__h.filter(function(n) {
				return !n.__ || D(n);
			});
		} catch (t) {
			n.__h = [function() {
				throw t;
			}];
		}
	}), h$2 && h$2(n, t);
}, a$1.unmount = function(n) {
	s$1 && s$1(n);
	var t, r, u = n.__c;
	u && u.__H && (u.__H.__.some(function(u) {
		try {
			if (u.__P && u.__c) {
				if (void 0 === r) {
					for (r = n.__; r && (!r.__c || !r.__c.__P);) r = r.__;
					r = r && r.__c;
				}
				u.__P = r, B(e$1.push(u));
			} else C(u);
		} catch (n) {
			t = n;
		}
	}), u.__H = void 0, t && a$1.__e(t, u.__v));
};
var k$1 = "function" == typeof requestAnimationFrame;
function z(n) {
	var t, r = function() {
		clearTimeout(u), k$1 && cancelAnimationFrame(t), setTimeout(n);
	}, u = setTimeout(r, 35);
	k$1 && (t = requestAnimationFrame(r));
}
function B(n) {
	1 != n && i$1 == a$1.requestAnimationFrame || ((i$1 = a$1.requestAnimationFrame) || z)(g$2);
}
function C(n) {
	var t = r$1, u = n.__c;
	"function" == typeof u && (n.__c = void 0, u()), r$1 = t;
}
function D(n) {
	var t = r$1;
	n.__c = n.__(), r$1 = t;
}
function E(n, t) {
	return !n || n.length != t.length || t.some(function(t, r) {
		return !o$1(t, n[r]);
	});
}
// src/stage/palette.ts
var PALETTE = [
	"#56b4e9",
	"#d55e00",
	"#f0e442",
	"#0072b2",
	"#cc79a7",
	"#009e73",
	"#e69f00"
];
var TINTS = [
	.25,
	.45,
	.7,
	0
];
function rgbOf(colour) {
	const number = Number.parseInt(colour.slice(1), 16);
	return Number.isNaN(number) ? [
		128,
		128,
		128
	] : [
		number >> 16 & 255,
		number >> 8 & 255,
		number & 255
	];
}
function packed(colour, opacity) {
	const [red, green, blue] = rgbOf(colour);
	return (Math.round(opacity * 255) << 24 | blue << 16 | green << 8 | red) >>> 0;
}
function readableOn(colour) {
	const [red, green, blue] = rgbOf(colour).map((value) => {
		const share = value / 255;
		return share <= .04045 ? share / 12.92 : ((share + .055) / 1.055) ** 2.4;
	});
	return .2126 * red + .7152 * green + .0722 * blue > .179 ? "#000000" : "#ffffff";
}
function overlayStyle(objects, options) {
	const style = {
		fill: new Uint32Array(256),
		contour: new Uint32Array(256),
		hatching: new Uint8Array(256),
		shown: new Uint8Array(256),
		dashed: options.dashed
	};
	for (const { slot, colour } of objects) {
		style.fill[slot] = packed(colour, options.tint);
		style.contour[slot] = packed(colour, 1);
		style.hatching[slot] = Math.floor((slot - 1) / PALETTE.length) % 3;
		style.shown[slot] = options.hidden.has(slot) ? 0 : slot;
	}
	return style;
}
// src/model/document.ts
function objectOf(document, slot) {
	return document.objects.find((object) => object.slot === slot) ?? null;
}
function titleOf({ id, name }) {
	return name === `object ${id}` ? name : `${id} ${name}`;
}
function changesOf(document, frame, slot) {
	const change = document.renames.find(([at, , slots]) => at === frame && slots.includes(slot));
	if (change === void 0) return null;
	const ids = change[2].map((other) => objectOf(document, other)?.id ?? other);
	return change[1] === "swap" ? `${ids.join(" and ")} swapped from here on` : `${ids.slice(1).join(", ")} is part of ${ids[0]} from here on`;
}
function markedOn(document, frame) {
	return [...document.prompts[frame] ?? [], ...document.absent[frame] ?? []];
}
function markedFrames(document, slot) {
	const frames = new Set();
	for (const table of [document.prompts, document.absent]) for (const [frame, slots] of Object.entries(table)) if (slot === null ? slots.length > 0 : slots.includes(slot)) frames.add(Number(frame));
	return [...frames].sort((a, b) => a - b);
}
function nextOf(sorted, frame, direction) {
	const beyond = sorted.filter((other) => (other - frame) * direction > 0);
	return (direction === 1 ? beyond[0] : beyond.at(-1)) ?? null;
}
function knownBefore(document, slot, frame) {
	return Object.entries(document.prompts).some(([other, slots]) => Number(other) < frame && slots.includes(slot));
}
function compose(found, marks, marked, pixels) {
	const shown = new Uint8Array(pixels);
	if (found !== null) shown.set(found);
	if (marked.length > 0 && found !== null) {
		const gone = new Uint8Array(256);
		for (const slot of marked) gone[slot] = 1;
		for (let i = 0; i < pixels; i++) if (gone[shown[i]] === 1) shown[i] = 0;
	}
	if (marks !== null) {
		for (let i = 0; i < pixels; i++) if (marks[i] !== 0) shown[i] = marks[i];
	}
	return shown;
}
function only(labels, slots) {
	const kept = new Uint8Array(256);
	for (const slot of slots) kept[slot] = slot;
	const out = new Uint8Array(labels.length);
	for (let i = 0; i < labels.length; i++) out[i] = kept[labels[i]];
	return out;
}
function withMark(document, frame, slots, pixels) {
	const present = new Uint8Array(256);
	for (const value of pixels) present[value] = 1;
	const masked = slots.filter((slot) => present[slot] === 1);
	const gone = slots.filter((slot) => present[slot] === 0 && knownBefore(document, slot, frame));
	return {
		prompts: replaced(document.prompts, frame, slots, masked),
		absent: replaced(document.absent, frame, slots, gone)
	};
}
function replaced(table, frame, dropped, added) {
	const kept = (table[frame] ?? []).filter((slot) => !dropped.includes(slot));
	const { [String(frame)]: _, ...others } = table;
	const slots = [...kept, ...added].sort((a, b) => a - b);
	return slots.length > 0 ? {
		...others,
		[frame]: slots
	} : others;
}
// src/model/absence.ts
function newlyAbsent(before, after, frame) {
	const known = before.absent[frame] ?? [];
	return (after.absent[frame] ?? []).filter((slot) => !known.includes(slot));
}
function offerEnds(session, frame, slots) {
	const project = session.project.value;
	if (project === null) return;
	for (const slot of slots) {
		const object = objectOf(project, slot);
		if (object === null) continue;
		session.toasts.offer(`${titleOf(object)} is absent on this frame and may come back.`, {
			label: "Ends here",
			run: () => void session.edit((revision) => session.api.setEnd(revision, frame, slot, true), () => session.marks.forget([frame]))
		});
	}
}
// src/model/changes.ts
var MOST_OBJECTS = 254;
function mark(session, { frame, slots, did }, labels) {
	const project = session.project.value;
	if (project === null || slots.length === 0) return;
	const document = withMark(project, frame, slots, labels);
	const { width, height } = project.video;
	const marks = only(labels, document.prompts[frame] ?? []);
	session.marks.put(frame, {
		width,
		height,
		data: marks
	});
	session.project.value = {
		...project,
		...document
	};
	offerEnds(session, frame, newlyAbsent(project, document, frame));
	const pixels = labels.slice();
	session.edit((revision) => session.api.mark(revision, {
		frame,
		slots,
		did
	}, pixels));
}
function addObject(session) {
	const project = session.project.value;
	if (project === null) return null;
	const highest = Math.max(0, ...project.objects.map((object) => object.slot));
	const free = project.next_slot ?? highest + 1;
	if (free > MOST_OBJECTS) {
		session.toasts.error(`A project holds at most ${MOST_OBJECTS} objects.`);
		return null;
	}
	const colour = PALETTE[(free - 1) % PALETTE.length];
	const added = {
		slot: free,
		id: free,
		name: `object ${free}`,
		colour,
		locked: false
	};
	const objects = [...project.objects, added];
	session.project.value = {
		...project,
		objects,
		next_slot: free + 1
	};
	session.look.slot.value = free;
	session.edit((revision) => session.api.addObject(revision));
	return free;
}
async function stepHistory(session, which) {
	await session.edits.settled();
	const next = session.project.value?.[which] ?? null;
	const word = which === "undo" ? "Undo" : "Redo";
	if (next === null) return session.toasts.info(`Nothing to ${which}`);
	if (next.frame !== null && next.frame !== session.look.frame.value) {
		session.goTo(next.frame);
		session.toasts.info(`${word} again to ${which}: ${next.did}`);
		return;
	}
	await session.edit((revision) => session.api[which](revision), () => {
		session.marks.forget(null);
		session.toasts.announce(`${word}: ${next.did}`);
	});
}
async function makeBox(session, frame, slot, box) {
	session.boxesPending.value++;
	try {
		await session.edits.settled();
		await session.api.box(frame, slot, box);
	} catch (error) {
		session.boxesPending.value = 0;
		session.complain(error);
	}
}
// node_modules/@preact/signals-core/dist/signals-core.module.js
var i = Symbol.for("preact-signals");
function t() {
	if (!(v > 1)) {
		var i, t = !1;
		(function() {
			var i = c;
			c = void 0;
			while (void 0 !== i) {
				var t = i.S;
				if (t.v === i.v) {
					for (var r = t.t; void 0 !== r; r = r.x) if (r.i === i.i) r.i = t.i;
				}
				i = i.o;
			}
		})();
		while (void 0 !== h$1) {
			var r = h$1;
			h$1 = void 0;
			s++;
			while (void 0 !== r) {
				var n = r.u;
				r.u = void 0;
				r.f &= -3;
				if (!(8 & r.f) && w$1(r)) try {
					r.c();
				} catch (r) {
					if (!t) {
						i = r;
						t = !0;
					}
				}
				r = n;
			}
		}
		s = 0;
		v--;
		if (t) throw i;
	} else v--;
}
function r(i) {
	if (v > 0) return i();
	u = ++e;
	v++;
	try {
		return i();
	} finally {
		t();
	}
}
var n;
var o = void 0;
function f(i) {
	var t = o, r = n;
	o = void 0;
	n = void 0;
	try {
		return i();
	} finally {
		o = t;
		n = r;
	}
}
var h$1 = void 0;
var v = 0;
var s = 0;
var e = 0;
var u = 0;
var c = void 0;
var a = 0;
function d$1(i) {
	if (void 0 !== o) {
		var t = i.n;
		if (void 0 === t || t.t !== o) {
			t = {
				i: 0,
				S: i,
				p: o.s,
				n: void 0,
				t: o,
				e: void 0,
				x: void 0,
				r: t
			};
			if (void 0 !== o.s) o.s.n = t;
			o.s = t;
			i.n = t;
			if (32 & o.f) i.S(t);
			return t;
		} else if (-1 === t.i) {
			t.i = 0;
			if (void 0 !== t.n) {
				t.n.p = t.p;
				if (void 0 !== t.p) t.p.n = t.n;
				t.p = o.s;
				t.n = void 0;
				o.s.n = t;
				o.s = t;
			}
			return t;
		}
	}
}
function l(i, t) {
	this.v = i;
	this.i = 0;
	this.n = void 0;
	this.t = void 0;
	this.l = 0;
	this.W = null == t ? void 0 : t.watched;
	this.Z = null == t ? void 0 : t.unwatched;
	this.name = null == t ? void 0 : t.name;
}
l.prototype.brand = i;
l.prototype.h = function() {
	return !0;
};
l.prototype.S = function(i) {
	var t = this, r = this.t;
	if (r !== i && void 0 === i.e) {
		i.x = r;
		this.t = i;
		if (void 0 !== r) r.e = i;
		else f(function() {
			var i;
			null == (i = t.W) || i.call(t);
		});
	}
};
l.prototype.U = function(i) {
	var t = this;
	if (void 0 !== this.t) {
		var r = i.e, n = i.x;
		if (void 0 !== r) {
			r.x = n;
			i.e = void 0;
		}
		if (void 0 !== n) {
			n.e = r;
			i.x = void 0;
		}
		if (i === this.t) {
			this.t = n;
			if (void 0 === n) f(function() {
				var i;
				null == (i = t.Z) || i.call(t);
			});
		}
	}
};
l.prototype.subscribe = function(i) {
	var t = this;
	return x$1(function() {
		var r = t.value;
		f(function() {
			return i(r);
		});
	}, { name: "sub" });
};
l.prototype.valueOf = function() {
	return this.value;
};
l.prototype.toString = function() {
	return this.value + "";
};
l.prototype.toJSON = function() {
	return this.value;
};
l.prototype.peek = function() {
	var i = this;
	return f(function() {
		return i.value;
	});
};
Object.defineProperty(l.prototype, "value", {
	get: function() {
		var i = d$1(this);
		if (void 0 !== i) i.i = this.i;
		return this.v;
	},
	set: function(i) {
		if (i !== this.v) {
			if (s > 100) throw new Error("Cycle detected");
			(function(i) {
				if (0 !== v && 0 === s) {
					if (i.l !== u) {
						i.l = u;
						c = {
							S: i,
							v: i.v,
							i: i.i,
							o: c
						};
					}
				}
			})(this);
			this.v = i;
			this.i++;
			a++;
			v++;
			try {
				for (var r = this.t; void 0 !== r; r = r.x) r.t.N();
			} finally {
				t();
			}
		}
	}
});
function y$1(i, t) {
	return new l(i, t);
}
function w$1(i) {
	for (var t = i.s; void 0 !== t; t = t.n) if (t.S.i !== t.i || !t.S.h() || t.S.i !== t.i) return !0;
	return !1;
}
function b$1(i) {
	for (var t = i.s; void 0 !== t; t = t.n) {
		var r = t.S.n;
		if (void 0 !== r) t.r = r;
		t.S.n = t;
		t.i = -1;
		if (void 0 === t.n) {
			i.s = t;
			break;
		}
	}
}
function _$1(i) {
	var t = i.s, r = void 0;
	while (void 0 !== t) {
		var n = t.p;
		if (-1 === t.i) {
			t.S.U(t);
			if (void 0 !== n) n.n = t.n;
			if (void 0 !== t.n) t.n.p = n;
		} else r = t;
		t.S.n = t.r;
		if (void 0 !== t.r) t.r = void 0;
		t = n;
	}
	i.s = r;
}
function j(i, t) {
	l.call(this, void 0, t);
	this.x = i;
	this.s = void 0;
	this.g = a - 1;
	this.f = 4;
}
j.prototype = new l();
j.prototype.h = function() {
	this.f &= -3;
	if (1 & this.f) return !1;
	if (32 == (36 & this.f)) return !0;
	this.f &= -5;
	if (this.g === a) return !0;
	this.g = a;
	this.f |= 1;
	if (this.i > 0 && !w$1(this)) {
		this.f &= -2;
		return !0;
	}
	var i = o;
	try {
		b$1(this);
		o = this;
		var t = this.x();
		if (16 & this.f || this.v !== t || 0 === this.i) {
			this.v = t;
			this.f &= -17;
			this.i++;
		}
	} catch (i) {
		this.v = i;
		this.f |= 16;
		this.i++;
	}
	o = i;
	_$1(this);
	this.f &= -2;
	return !0;
};
j.prototype.S = function(i) {
	if (void 0 === this.t) {
		this.f |= 36;
		for (var t = this.s; void 0 !== t; t = t.n) t.S.S(t);
	}
	l.prototype.S.call(this, i);
};
j.prototype.U = function(i) {
	if (void 0 !== this.t) {
		l.prototype.U.call(this, i);
		if (void 0 === this.t) {
			this.f &= -33;
			for (var t = this.s; void 0 !== t; t = t.n) t.S.U(t);
		}
	}
};
j.prototype.N = function() {
	if (!(2 & this.f)) {
		this.f |= 6;
		for (var i = this.t; void 0 !== i; i = i.x) i.t.N();
	}
};
Object.defineProperty(j.prototype, "value", { get: function() {
	if (1 & this.f) throw new Error("Cycle detected");
	var i = d$1(this);
	this.h();
	if (void 0 !== i) i.i = this.i;
	if (16 & this.f) throw this.v;
	return this.v;
} });
function O(i, t) {
	return new j(i, t);
}
function p$1(i) {
	var r = i.j;
	i.j = void 0;
	if ("function" == typeof r) {
		v++;
		var n = o;
		o = void 0;
		try {
			r();
		} catch (t) {
			i.f &= -2;
			i.f |= 8;
			g$1(i);
			throw t;
		} finally {
			o = n;
			t();
		}
	}
}
function g$1(i) {
	for (var t = i.s; void 0 !== t; t = t.n) t.S.U(t);
	i.x = void 0;
	i.s = void 0;
	p$1(i);
}
function S(i) {
	if (o !== this) throw new Error("Out-of-order effect");
	_$1(this);
	o = i;
	this.f &= -2;
	try {
		if (8 & this.f) g$1(this);
	} finally {
		t();
	}
}
function m$1(i, t) {
	this.x = i;
	this.j = void 0;
	this.s = void 0;
	this.u = void 0;
	this.f = 32;
	this.name = null == t ? void 0 : t.name;
	if (n) n.push(this);
}
m$1.prototype.c = function() {
	var i = this.S();
	try {
		if (8 & this.f) return;
		if (void 0 === this.x) return;
		var t = this.x();
		if ("function" == typeof t) this.j = t;
	} finally {
		i();
	}
};
m$1.prototype.S = function() {
	if (1 & this.f) throw new Error("Cycle detected");
	this.f |= 1;
	this.f &= -9;
	p$1(this);
	b$1(this);
	v++;
	var i = o;
	o = this;
	return S.bind(this, i);
};
m$1.prototype.N = function() {
	if (!(2 & this.f)) {
		this.f |= 2;
		this.u = h$1;
		h$1 = this;
	}
};
m$1.prototype.d = function() {
	this.f |= 8;
	if (!(1 & this.f)) g$1(this);
};
m$1.prototype.dispose = function() {
	this.d();
};
function x$1(i, t) {
	var r = new m$1(i, t);
	try {
		r.c();
	} catch (i) {
		r.d();
		throw i;
	}
	var n = r.d.bind(r);
	n[Symbol.dispose] = n;
	return n;
}
// node_modules/@preact/signals/dist/signals.module.js
var h;
var d;
var p;
var m = "undefined" != typeof window && !!window.__PREACT_SIGNALS_DEVTOOLS__;
var _ = [];
var g = [];
x$1(function() {
	h = this.N;
})();
function b(i, n) {
	n$1[i] = n.bind(null, n$1[i] || function() {});
}
function y(i) {
	if (p) {
		var n = p;
		p = void 0;
		n();
	}
	p = i && i.S();
}
function w(i) {
	var n = this, r = i.data, t = useSignal(r);
	t.name = "ReactiveDom";
	t.value = r;
	var e = w$2(function() {
		var i = n, r = n.__v;
		while (r = r.__) if (r.__c) {
			r.__c.__$f |= 4;
			break;
		}
		var o = O(function() {
			var i = t.value.value;
			return 0 === i ? 0 : !0 === i ? "" : i || "";
		}), e = O(function() {
			return !Array.isArray(o.value) && !r$2(o.value);
		}), u = x$1(function() {
			this.N = M;
			if (e.value) {
				var n = o.value;
				if (i.__v && i.__v.__e && 3 === i.__v.__e.nodeType) i.__v.__e.data = n;
			}
		}), c = n.__$u.d;
		n.__$u.d = function() {
			u();
			c.call(this);
		};
		return [e, o];
	}, []), u = e[0], c = e[1];
	return u.value ? c.peek() : c.value;
}
w.displayName = "ReactiveTextNode";
Object.defineProperties(l.prototype, {
	constructor: {
		configurable: !0,
		value: k$2($, null).constructor
	},
	type: {
		configurable: !0,
		value: w
	},
	props: {
		configurable: !0,
		get: function() {
			var i = this;
			return { data: { get value() {
				return i.value;
			} } };
		}
	},
	__b: {
		configurable: !0,
		value: 1
	}
});
b("__b", function(i, n) {
	y();
	d = void 0;
	if ("string" == typeof n.type) {
		var r, t = n.props;
		for (var f in t) if ("children" !== f) {
			var o = t[f];
			if (o instanceof l) {
				if (!r) n.__np = r = {};
				r[f] = o;
				t[f] = o.peek();
			}
		}
	}
	i(n);
});
b("__r", function(i, r) {
	i(r);
	if (r.type !== $) {
		y();
		var t, f = r.__c;
		if (f) {
			f.__$f &= -2;
			if (void 0 === (t = f.__$u)) f.__$u = t = function(i, n) {
				var r;
				x$1(function() {
					r = this;
				}, { name: n });
				r.c = i;
				return r;
			}(function(i) {
				return function() {
					var n;
					if (m) null == (n = this.y) || n.call(this);
					i.__$f |= 1;
					i.setState({});
				};
			}(f), "function" == typeof r.type ? r.type.displayName || r.type.name : "");
		}
		d = f;
		y(t);
	}
});
b("__e", function(i, n, r, t) {
	y();
	d = void 0;
	i(n, r, t);
});
b("diffed", function(i, n) {
	y();
	d = void 0;
	var r;
	if ("string" == typeof n.type && (r = n.__e)) {
		var t = n.__np, f = n.props, o = r.U;
		if (o) for (var e in o) {
			var u = o[e];
			if (!(void 0 === u || t && e in t)) {
				u.d();
				o[e] = void 0;
			}
		}
		if (t) {
			if (!o) {
				o = {};
				r.U = o;
			}
			for (var a in t) {
				var c = o[a], v = t[a];
				if (void 0 === c) {
					c = k(r, a, v, f);
					o[a] = c;
				} else c.o(v, f);
			}
		}
	}
	i(n);
});
function k(i, n, r, t) {
	var f = n in i && void 0 === i.ownerSVGElement, o = y$1(r);
	return {
		o: function(i, n) {
			o.value = i;
			t = n;
		},
		d: x$1(function() {
			this.N = M;
			var r = o.value.value;
			if (t[n] !== r) {
				t[n] = r;
				if (f) i[n] = r;
				else if (null != r && (!1 !== r || "-" === n[4])) i.setAttribute(n, r);
				else i.removeAttribute(n);
			}
		})
	};
}
b("unmount", function(i, n) {
	if ("string" == typeof n.type) {
		var r = n.__e;
		if (r) {
			var t = r.U;
			if (t) {
				r.U = void 0;
				for (var f in t) {
					var o = t[f];
					if (o) o.d();
				}
			}
		}
		var e = n.__np;
		if (e) {
			var u = n.props;
			for (var a in e) u[a] = e[a];
		}
		n.__np = void 0;
	} else {
		var c = n.__c;
		if (c) {
			c.__$f |= 8;
			var v = c.__$u;
			if (v) {
				c.__$u = void 0;
				v.d();
			}
		}
	}
	i(n);
});
b("__h", function(i, n, r, t) {
	if (t < 3) n.__$f |= 2;
	i(n, r, t);
});
x$2.prototype.shouldComponentUpdate = function(i, n) {
	if (this.__R) return !0;
	var r = this.__$u, t = r && void 0 !== r.s;
	for (var f in n) return !0;
	if (this.__f || "boolean" == typeof this.u && !0 === this.u) {
		var o = 2 & this.__$f;
		if (!(t || o || 4 & this.__$f)) return !0;
		if (1 & this.__$f) return !0;
	} else {
		if (!(t || 4 & this.__$f)) return !0;
		if (3 & this.__$f) return !0;
	}
	for (var e in i) if ("__source" !== e && i[e] !== this.props[e]) return !0;
	for (var u in this.props) if (!(u in i)) return !0;
	return !1;
};
function useSignal(i, n) {
	return w$2(function() {
		return y$1(i, n);
	}, []);
}
function useComputed(i, n) {
	var r = T$1(i);
	r.current = i;
	d.__$f |= 4;
	return w$2(function() {
		return O(function() {
			return r.current();
		}, n);
	}, []);
}
var q = "undefined" == typeof requestAnimationFrame ? setTimeout : function(i) {
	var n = function() {
		clearTimeout(r);
		cancelAnimationFrame(t);
		i();
	}, r = setTimeout(n, 35), t = requestAnimationFrame(n);
};
var A = function(i) {
	queueMicrotask(function() {
		queueMicrotask(i);
	});
};
function T() {
	r(function() {
		var i;
		while (i = _.shift()) h.call(i);
	});
}
function x() {
	if (1 === _.push(this)) (n$1.requestAnimationFrame || q)(T);
}
function F() {
	r(function() {
		var i;
		while (i = g.shift()) h.call(i);
	});
}
function M() {
	if (1 === g.push(this)) (n$1.requestAnimationFrame || A)(F);
}
function useSignalEffect(i, n) {
	var r = T$1(i);
	r.current = i;
	var t = d;
	A$1(function() {
		return x$1(function() {
			this.N = x;
			if (!(t && 8 & t.__$f)) return r.current();
		}, n);
	}, []);
}
var Look = class {
	frame = y$1(0);
	direction = y$1(1);
	playing = y$1(false);
	follow = y$1(false);
	slot = y$1(null);
	tool = y$1("brush");
	brush = y$1(24);
	tint = y$1(1);
	masksHidden = y$1(false);
	hidden = y$1(new Set());
	inPoint = y$1(null);
	outPoint = y$1(null);
	view = y$1(null);
	window = y$1(null);
	trackChoice = y$1("end");
	resumeAfterEdits = y$1(true);
	keysOn = y$1(true);
	#key = "";
	#stop = () => void 0;
	begin(key, count) {
		if (this.#key === key) return;
		this.#stop();
		this.#key = key;
		this.#reset();
		this.#restore(count);
		this.#stop = x$1(() => this.#save());
	}
	setBrush(diameter) {
		this.brush.value = Math.min(400, Math.max(1, Math.round(diameter)));
	}
	toggleHidden(slot) {
		const hidden = new Set(this.hidden.value);
		if (!hidden.delete(slot)) hidden.add(slot);
		this.hidden.value = hidden;
	}
	#reset() {
		this.frame.value = 0;
		this.playing.value = false;
		this.slot.value = null;
		this.hidden.value = new Set();
		this.inPoint.value = null;
		this.outPoint.value = null;
		this.view.value = null;
		this.window.value = null;
	}
	#kept() {
		const { frame, slot, tool, brush, tint, inPoint, outPoint, view, window, trackChoice } = this;
		const { resumeAfterEdits, keysOn } = this;
		return {
			frame,
			slot,
			tool,
			brush,
			tint,
			inPoint,
			outPoint,
			view,
			window,
			trackChoice,
			resumeAfterEdits,
			keysOn
		};
	}
	#save() {
		const values = Object.entries(this.#kept()).map(([name, kept]) => [name, kept.value]);
		const hidden = [...this.hidden.value];
		const text = JSON.stringify({
			...Object.fromEntries(values),
			hidden
		});
		sessionStorage.setItem(`look ${this.#key}`, text);
	}
	#restore(count) {
		const text = sessionStorage.getItem(`look ${this.#key}`);
		if (text === null) return;
		const { hidden, ...values } = JSON.parse(text);
		for (const [name, kept] of Object.entries(this.#kept())) if (name in values) kept.value = values[name];
		this.hidden.value = new Set(hidden);
		this.frame.value = Math.min(count - 1, Math.max(0, this.frame.value));
	}
};
function reachOf(choice, at) {
	switch (choice) {
		case "end": return { direction: "forward" };
		case "next": return {
			direction: "forward",
			until: Math.min(at.last, at.frame + 25)
		};
		case "mark": return at.nextMark === null ? null : {
			direction: "forward",
			until: at.nextMark
		};
		case "out": return at.outPoint === null ? null : {
			direction: "forward",
			until: at.outPoint
		};
		case "backward": return { direction: "backward" };
		case "both": return { direction: "both" };
	}
}
// src/model/tracking.ts
var TRACK_CHOICES = {
	end: "to the end",
	next: "next 25 frames",
	mark: "to the next mark of this object",
	out: "to the out point",
	backward: "backward to the beginning",
	both: "both ways"
};
function reachNow(workspace, choice) {
	const { look, session } = workspace;
	const project = session.project.value;
	if (project === null) return null;
	const frame = look.frame.value;
	const marked = markedFrames(project, look.slot.value);
	return reachOf(choice, {
		frame,
		outPoint: look.outPoint.value,
		nextMark: nextOf(marked, frame, 1),
		last: session.last.value
	});
}
function framesToCompute(workspace, choice) {
	const { session } = workspace;
	const project = session.project.value;
	const reach = reachNow(workspace, choice);
	if (project === null || reach === null) return null;
	const last = reach.until ?? session.last.value;
	const first = firstToCompute(workspace);
	const forward = reach.direction === "backward" ? 0 : Math.max(0, last + 1 - first);
	const begin = markedFrames(project, null)[0] ?? 0;
	return reach.direction === "forward" ? forward : forward + begin;
}
function firstToCompute({ session }) {
	const outdated = session.project.value?.outdated_from ?? Number.POSITIVE_INFINITY;
	for (let frame = 0; frame <= session.last.value; frame++) if (frame >= outdated || session.results.stampOf(frame) === null) return frame;
	return session.last.value + 1;
}
function track(workspace, choice) {
	const { look, session } = workspace;
	const project = session.project.value;
	if (project === null) return;
	if (Object.keys(project.prompts).length === 0) {
		session.toasts.info("Mark an object on a frame first: paint it, or draw a box around it.");
		return;
	}
	const reach = reachNow(workspace, choice);
	if (reach === null) {
		session.toasts.info(choice === "out" ? "Set an out point first (O)." : "This object has no later mark.");
		return;
	}
	look.trackChoice.value = choice;
	session.startJob({
		what: "track",
		...reach
	});
}
// src/keys.ts
var LARGE = 10;
function toMark({ session, look }, direction) {
	const project = session.project.value;
	if (project === null) return;
	const frame = nextOf(markedFrames(project, null), look.frame.value, direction);
	if (frame !== null) session.goTo(frame);
}
function toFlag({ session, look }, direction) {
	const unseen = session.flags.value.filter((flag) => !flag.seen);
	const frames = [...new Set(unseen.map((flag) => flag.frame))].sort((a, b) => a - b);
	const frame = nextOf(frames, look.frame.value, direction) ?? frames.at(direction === 1 ? 0 : -1);
	if (frame === void 0) return session.toasts.info("No frames left to look at");
	const flag = unseen.find((other) => other.frame === frame);
	session.goTo(frame);
	if (flag !== void 0) look.slot.value = flag.slot;
}
function checkFlags({ session, look }) {
	for (const flag of session.flags.value) if (flag.frame === look.frame.value && !flag.seen) session.markSeen(flag, true);
}
function chooseTool({ look, pointer }, tool) {
	pointer.value?.drop();
	look.tool.value = tool;
}
function toObject({ session, look }, by) {
	const slots = (session.project.value?.objects ?? []).map((object) => object.slot);
	const now = slots.indexOf(look.slot.value ?? -1);
	const next = slots[Math.min(slots.length - 1, Math.max(0, now + by))];
	if (next !== void 0) look.slot.value = next;
}
function toggleEnd({ session, look }) {
	const [frame, slot] = [look.frame.value, look.slot.value];
	const project = session.project.value;
	if (project === null || slot === null) return;
	const ends = project.ends.some(([at, other]) => at === frame && other === slot);
	session.edit((revision) => session.api.setEnd(revision, frame, slot, !ends));
}
function removeMark({ session, look }) {
	const [frame, slot] = [look.frame.value, look.slot.value];
	const project = session.project.value;
	if (project === null || slot === null) return;
	if (![...project.prompts[frame] ?? [], ...project.absent[frame] ?? []].includes(slot)) {
		session.toasts.info("This object has no mark on this frame");
		return;
	}
	session.edit((revision) => session.api.unmark(revision, frame, slot), () => session.marks.forget([frame]));
}
function undo(workspace) {
	const pointer = workspace.pointer.value;
	if (pointer?.removeCorner() || pointer?.drop()) return;
	stepHistory(workspace.session, "undo");
}
function enter(workspace) {
	if (workspace.pointer.value?.closePolygon()) return;
	track(workspace, workspace.look.trackChoice.value);
}
function setPoint({ look }, which) {
	const point = look[which];
	point.value = point.value === look.frame.value ? null : look.frame.value;
	const [first, last] = [look.inPoint.value, look.outPoint.value];
	if (first !== null && last !== null && first > last) look[which === "inPoint" ? "outPoint" : "inPoint"].value = null;
}
var inGroup = (group) => (keys, says, run) => ({
	keys,
	says,
	group,
	run
});
var time = inGroup("Time");
var marking = inGroup("Marking");
var tracking = inGroup("Tracking");
var objects = inGroup("Objects");
var view = inGroup("View");
var tool = (name, key, says) => marking([key], says, (workspace) => chooseTool(workspace, name));
var COMMANDS = {
	play: time(["Space"], "Play or pause", ({ look }) => {
		look.playing.value = !look.playing.value;
	}),
	next: time(["ArrowRight"], "Next frame", ({ session, look }) => session.goTo(look.frame.value + 1)),
	previous: time(["ArrowLeft"], "Previous frame", ({ session, look }) => session.goTo(look.frame.value - 1)),
	forward: time(["Shift+ArrowRight"], "10 frames on", ({ session, look }) => session.goTo(look.frame.value + LARGE)),
	back: time(["Shift+ArrowLeft"], "10 frames back", ({ session, look }) => session.goTo(look.frame.value - LARGE)),
	nextMark: time(["Ctrl+ArrowRight"], "Next marked frame", (workspace) => toMark(workspace, 1)),
	previousMark: time(["Ctrl+ArrowLeft"], "Previous marked frame", (workspace) => toMark(workspace, -1)),
	first: time(["Home"], "First frame", ({ session }) => session.goTo(0)),
	last: time(["End"], "Last frame", ({ session }) => session.goTo(session.last.value)),
	nextFlag: time(["N"], "Next frame to look at", (workspace) => toFlag(workspace, 1)),
	previousFlag: time(["Shift+N"], "Previous frame to look at", (workspace) => toFlag(workspace, -1)),
	check: time(["C"], "Check off the flags on this frame", checkFlags),
	inPoint: time(["I"], "Set the in point here, or remove it", (workspace) => setPoint(workspace, "inPoint")),
	outPoint: time(["O"], "Set the out point here, or remove it", (workspace) => setPoint(workspace, "outPoint")),
	move: tool("move", "V", "Move: drag to pan, click an object to choose it"),
	brush: tool("brush", "B", "Brush (Alt or right button erases, Shift draws a line)"),
	eraser: tool("eraser", "E", "Eraser: takes pixels from the chosen object"),
	polygon: tool("polygon", "P", "Polygon (Enter closes, Backspace removes a point)"),
	box: tool("box", "R", "Box: the method finds the mask in it"),
	thinner: marking(["["], "Brush 2 pixels smaller", ({ look }) => look.setBrush(look.brush.value - 2)),
	thicker: marking(["]"], "Brush 2 pixels larger", ({ look }) => look.setBrush(look.brush.value + 2)),
	muchThinner: marking(["Shift+[", "{"], "Brush 20 pixels smaller", ({ look }) => look.setBrush(look.brush.value - 20)),
	muchThicker: marking(["Shift+]", "}"], "Brush 20 pixels larger", ({ look }) => look.setBrush(look.brush.value + 20)),
	undo: marking(["Ctrl+Z"], "Undo", undo),
	redo: marking(["Ctrl+Shift+Z", "Ctrl+Y"], "Redo", ({ session }) => void stepHistory(session, "redo")),
	removeCorner: marking(["Backspace"], "Remove the polygon's last point", ({ pointer }) => void pointer.value?.removeCorner()),
	drop: marking(["Escape"], "Drop what is being drawn", ({ pointer }) => void pointer.value?.drop()),
	end: marking(["X"], "The object ends here, or not", toggleEnd),
	removeMark: marking(["Delete"], "Remove the object's mark on this frame", removeMark),
	track: tracking(["Enter"], "Track as last time", enter),
	trackBoth: tracking(["Shift+Enter"], "Track both ways", (workspace) => track(workspace, "both")),
	trackBackward: tracking(["Alt+Enter"], "Track backward", (workspace) => track(workspace, "backward")),
	stop: tracking(["Ctrl+."], "Stop the job", ({ session }) => void session.stopJob()),
	add: objects(["A"], "Add an object", ({ session }) => void addObject(session)),
	objectAbove: objects(["Alt+ArrowUp"], "Choose the object above", (workspace) => toObject(workspace, -1)),
	objectBelow: objects(["Alt+ArrowDown"], "Choose the object below", (workspace) => toObject(workspace, 1)),
	tint: view(["T"], "Tint of masks: 25, 45, 70 %, outline", ({ look }) => {
		look.tint.value = (look.tint.value + 1) % TINTS.length;
	}),
	fit: view(["F"], "Fit the video into the stage", ({ look }) => {
		look.view.value = null;
	}),
	zoomIn: view(["+", "="], "Zoom in", ({ pointer }) => pointer.value?.zoom(1.25)),
	zoomOut: view(["-"], "Zoom out", ({ pointer }) => pointer.value?.zoom(.8)),
	export: view(["Ctrl+E"], "Export", ({ dialog }) => {
		dialog.value = "export";
	}),
	help: view(["?"], "This help", ({ dialog }) => {
		dialog.value = "help";
	})
};
function ariaKeys(name) {
	return COMMANDS[name].keys.join(" ").replaceAll("Ctrl", "Control");
}
var SIGN_OF = {
	ArrowLeft: "←",
	ArrowRight: "→",
	ArrowUp: "↑",
	ArrowDown: "↓"
};
function shownKey(key) {
	return key.replace(/Arrow\w+/, (name) => SIGN_OF[name]);
}
function chordOf(event) {
	const key = event.key === " " ? "Space" : event.key;
	const isLetter = /^[a-z]$/i.test(key);
	const shift = event.shiftKey && (isLetter || key.length > 1);
	return [
		event.ctrlKey || event.metaKey ? "Ctrl" : "",
		event.altKey ? "Alt" : "",
		shift ? "Shift" : "",
		isLetter ? key.toUpperCase() : key
	].filter((part) => part !== "").join("+");
}
var BY_CHORD = new Map(Object.values(COMMANDS).flatMap((command) => command.keys.map((key) => [key, command])));
var NUDGES = {
	ArrowLeft: {
		x: -1,
		y: 0
	},
	ArrowRight: {
		x: 1,
		y: 0
	},
	ArrowUp: {
		x: 0,
		y: -1
	},
	ArrowDown: {
		x: 0,
		y: 1
	}
};
function belongsTo(target, chord) {
	if (!(target instanceof HTMLElement)) return false;
	if (target instanceof HTMLInputElement && target.type === "range") return /^(Arrow|Home$|End$|Page)/.test(chord);
	const isCheck = target instanceof HTMLInputElement && target.type === "checkbox";
	if (target.matches("button, summary, a") || isCheck) return chord === "Space" || chord === "Enter";
	return target.matches("input, select, textarea");
}
function listenToKeys(workspace) {
	const { look, dialog, session } = workspace;
	const controller = new AbortController();
	const { signal } = controller;
	const down = (event) => {
		const chord = chordOf(event);
		if (dialog.value !== null || session.project.value === null) return;
		if (belongsTo(event.target, chord) || event.defaultPrevented) return;
		if (!chord.startsWith("Ctrl+") && !chord.startsWith("Alt+") && !look.keysOn.value && chord !== "Escape") return;
		if (press(workspace, chord, event)) event.preventDefault();
	};
	const up = (event) => {
		if (chordOf(event).endsWith("H")) look.masksHidden.value = false;
	};
	addEventListener("keydown", down, { signal });
	addEventListener("keyup", up, { signal });
	addEventListener("blur", () => look.masksHidden.value = false, { signal });
	return () => controller.abort();
}
function press(workspace, chord, event) {
	const { look, pointer, session } = workspace;
	if (chord === "H") {
		look.masksHidden.value = true;
		return true;
	}
	if (/^[1-9]$/.test(chord)) {
		const object = session.project.value?.objects[Number(chord) - 1];
		if (object !== void 0) look.slot.value = object.slot;
		return true;
	}
	const nudge = NUDGES[event.key];
	if (nudge !== void 0 && pointer.value?.draft.value?.kind === "polygon" && !event.ctrlKey) {
		const by = event.shiftKey ? LARGE : 1;
		pointer.value.nudgeCorner({
			x: nudge.x * by,
			y: nudge.y * by
		});
		return true;
	}
	const command = BY_CHORD.get(chord);
	if (command === void 0) return false;
	command.run(workspace);
	return true;
}
// src/model/context.ts
var Workspace = class {
	session;
	look;
	stage = y$1(null);
	pointer = y$1(null);
	dialog = y$1(null);
	constructor(session) {
		this.session = session;
		this.look = session.look;
	}
};
var Context = U(null);
var WorkspaceProvider = Context.Provider;
function useWorkspace() {
	const workspace = j$1(Context);
	if (workspace === null) throw new Error("a panel lies outside of the workspace");
	return workspace;
}
// src/model/base64.ts
function bytesOf(text) {
	const binary = atob(text);
	const bytes = new Uint8Array(binary.length);
	for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
	return bytes;
}
function int32Of(text) {
	return new Int32Array(bytesOf(text).buffer);
}
function float32Of(text) {
	return new Float32Array(bytesOf(text).buffer);
}
function float64Of(text) {
	return new Float64Array(bytesOf(text).buffer);
}
// src/model/clock.ts
var PICTURES_RATE = 24;
function timesOf(video) {
	if (video.times === null) return Float64Array.from({ length: video.count }, (_, frame) => frame / PICTURES_RATE);
	const times = float64Of(video.times);
	return times.map((time) => time - times[0]);
}
function frameAt(times, time) {
	let [low, high] = [0, times.length - 1];
	while (low < high) {
		const middle = Math.ceil((low + high) / 2);
		if (times[middle] <= time) low = middle;
		else high = middle - 1;
	}
	return low;
}
function clockText(seconds) {
	const hundredths = Math.round(seconds * 100);
	return `${Math.floor(hundredths / 6e3)}:${(hundredths % 6e3 / 100).toFixed(2).padStart(5, "0")}`;
}
function durationText(seconds) {
	const whole = Math.max(0, Math.round(seconds));
	const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
	const tail = String(whole % 60).padStart(2, "0");
	return hours > 0 ? `${hours}:${String(minutes).padStart(2, "0")}:${tail}` : `${minutes}:${tail}`;
}
function bytesText(bytes) {
	const units = [
		"B",
		"KB",
		"MB",
		"GB",
		"TB"
	];
	let value = bytes;
	let unit = 0;
	while (value >= 1e3 && unit < units.length - 1) {
		value /= 1e3;
		unit++;
	}
	return `${unit > 0 && value < 10 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}
// src/model/playback.ts
function followPlayback(session) {
	return x$1(() => {
		const video = session.project.peek()?.video;
		if (!session.look.playing.value || video === void 0) return void 0;
		return play(session, timesOf(video));
	});
}
function play(session, times) {
	const { look } = session;
	const last = times.length - 1;
	const first = look.frame.peek() >= last ? 0 : look.frame.peek();
	const begun = performance.now() - times[first] * 1e3;
	let request = 0;
	const tick = () => {
		const frame = frameAt(times, (performance.now() - begun) / 1e3);
		session.goTo(frame);
		if (frame >= last) look.playing.value = false;
		else request = requestAnimationFrame(tick);
	};
	request = requestAnimationFrame(tick);
	return () => cancelAnimationFrame(request);
}
// src/model/exports.ts
var NOTHING = {
	names: new Set(),
	values: {},
	without: new Set(),
	each: false
};
function toggled(set, value, on) {
	const next = new Set(set);
	if (on) next.add(value);
	else next.delete(value);
	return next;
}
function optionsFor(exports, options, chosen, project) {
	const followed = new Set(exports.filter(({ name }) => chosen.has(name)).flatMap((each) => each.options));
	const source = project.video.times === null ? "frames" : "video";
	return options.filter(({ name, only }) => followed.has(name) && (only === null || only === source)).map((option) => option.name === "edges" ? withPossibleEdges(option, project) : option);
}
function withPossibleEdges(option, project) {
	if (project.probabilities) return option;
	return {
		...option,
		choices: option.choices.filter(([value]) => value !== "soft")
	};
}
function grouped(exports) {
	const groups = new Map();
	for (const each of exports) groups.set(each.group, [...groups.get(each.group) ?? [], each]);
	return [...groups];
}
function expectedBytes({ density, bytes }, { width, height }, frames) {
	return density === null ? bytes : density * width * height * frames;
}
function isPossible(choice, objects) {
	return choice.names.size > 0 && objects.some(({ id }) => !choice.without.has(id));
}
function requestOptions(choice, shown, objects) {
	const values = {};
	for (const { name, kind, usual } of shown) {
		const value = choice.values[name];
		if (kind === "objects") Object.assign(values, objectsOf(choice, objects));
		else if (value !== void 0 && value !== usual) values[name] = value;
	}
	return values;
}
function objectsOf({ without, each }, objects) {
	const ids = objects.map(({ id }) => id).filter((id) => !without.has(id));
	if (ids.length === objects.length) return each ? { objects: "all" } : {};
	return {
		objects: ids.join(","),
		...each ? {} : { merged: true }
	};
}
function typedNumber(option, text) {
	if (text.trim() === "") return option.usual === null ? null : void 0;
	const value = Number(text);
	if (!Number.isFinite(value) || option.kind === "whole" && !Number.isInteger(value)) return;
	if (value < (option.least ?? -Infinity) || value > (option.most ?? Infinity)) return;
	return value;
}
// src/model/deflate.ts
async function through(bytes, stream) {
	const writer = stream.writable.getWriter();
	writer.write(bytes).catch(() => void 0);
	writer.close().catch(() => void 0);
	return new Uint8Array(await new Response(stream.readable).arrayBuffer());
}
function deflate(bytes) {
	return through(bytes, new CompressionStream("deflate"));
}
function inflate(bytes) {
	return through(bytes, new DecompressionStream("deflate"));
}
// src/model/png.ts
var SIGNATURE = [
	137,
	80,
	78,
	71,
	13,
	10,
	26,
	10
];
var LARGEST = 2 ** 27;
async function decodeLabels(file) {
	if (SIGNATURE.some((byte, i) => file[i] !== byte)) throw new Error("not a PNG file");
	const { header, packed } = readChunks(file);
	const rows = await inflate(packed);
	const stride = Math.ceil(header.width * header.depth / 8);
	if (rows.length < (stride + 1) * header.height) throw new Error("the PNG file ends early");
	const bytes = unfilter(rows, stride, header.height);
	const { width, height, depth } = header;
	return {
		width,
		height,
		data: depth === 8 ? bytes : unpack(bytes, header, stride)
	};
}
function readChunks(file) {
	const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
	const parts = [];
	let header = null;
	for (let at = 8; at + 8 <= file.length;) {
		const length = view.getUint32(at);
		const kind = String.fromCharCode(...file.subarray(at + 4, at + 8));
		if (kind === "IHDR") header = readHeader(view, at + 8);
		if (kind === "IDAT") parts.push(file.subarray(at + 8, at + 8 + length));
		if (kind === "IEND") break;
		at += length + 12;
	}
	if (header === null) throw new Error("the PNG file has no header");
	return {
		header,
		packed: joined(parts)
	};
}
function readHeader(view, at) {
	const width = view.getUint32(at);
	const height = view.getUint32(at + 4);
	const [depth, colour, interlaced] = [
		8,
		9,
		12
	].map((i) => view.getUint8(at + i));
	if (width * height === 0 || width * height > LARGEST) throw new Error("bad size of a PNG file");
	if (colour !== 0 && colour !== 3) throw new Error("a label map must have one channel");
	if (![
		1,
		2,
		4,
		8
	].includes(depth)) throw new Error(`a label map has 8 bits, not ${depth}`);
	if (interlaced !== 0) throw new Error("a label map must not be interlaced");
	return {
		width,
		height,
		depth
	};
}
function joined(parts) {
	const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
	let at = 0;
	for (const part of parts) {
		whole.set(part, at);
		at += part.length;
	}
	return whole;
}
function unfilter(rows, stride, height) {
	const out = new Uint8Array(stride * height);
	for (let y = 0; y < height; y++) {
		const from = y * (stride + 1) + 1;
		const to = y * stride;
		out.set(rows.subarray(from, from + stride), to);
		const undo = FILTERS[rows[from - 1]];
		if (undo === void 0) throw new Error("the PNG file has an unknown filter");
		undo(out, to, stride, y > 0);
	}
	return out;
}
var FILTERS = [
	() => void 0,
	undoLeft,
	undoAbove,
	undoMean,
	undoPaeth
];
function undoLeft(out, at, stride) {
	for (let i = at + 1; i < at + stride; i++) out[i] += out[i - 1];
}
function undoAbove(out, at, stride, hasAbove) {
	if (!hasAbove) return;
	for (let i = at; i < at + stride; i++) out[i] += out[i - stride];
}
function undoMean(out, at, stride, hasAbove) {
	let left = 0;
	for (let i = at; i < at + stride; i++) {
		const above = hasAbove ? out[i - stride] : 0;
		out[i] += left + above >> 1;
		left = out[i];
	}
}
function undoPaeth(out, at, stride, hasAbove) {
	let left = 0;
	let corner = 0;
	for (let i = at; i < at + stride; i++) {
		const above = hasAbove ? out[i - stride] : 0;
		out[i] += paeth(left, above, corner);
		left = out[i];
		corner = above;
	}
}
function paeth(left, above, corner) {
	const toLeft = Math.abs(above - corner);
	const toAbove = Math.abs(left - corner);
	const toCorner = Math.abs(left + above - 2 * corner);
	if (toLeft <= toAbove && toLeft <= toCorner) return left;
	return toAbove <= toCorner ? above : corner;
}
function unpack(bytes, header, stride) {
	const { width, height, depth } = header;
	const out = new Uint8Array(width * height);
	const perByte = 8 / depth;
	const mask = (1 << depth) - 1;
	for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) {
		const byte = bytes[y * stride + Math.floor(x / perByte)];
		out[y * width + x] = byte >> 8 - depth * (x % perByte + 1) & mask;
	}
	return out;
}
// src/model/api.ts
var ApiError = class extends Error {
	kind;
	status;
	body;
	constructor(status, error, body = {}) {
		super(error.message);
		this.status = status;
		this.kind = error.kind;
		this.body = body;
	}
	get unreachable() {
		return this.status === 0;
	}
};
var Api = class {
	sent = {};
	onReachable = () => void 0;
	#token;
	constructor(token) {
		this.#token = token;
	}
	async send(address, options = {}) {
		const kind = `${options.method ?? "GET"} ${address.split("/")[2]?.split("?")[0]}`;
		this.sent[kind] = (this.sent[kind] ?? 0) + 1;
		const response = await this.#fetch(address, options);
		this.onReachable(true);
		if (response.ok) return response;
		throw await errorOf(response);
	}
	async #fetch(address, { method, json, body, headers, signal }) {
		const request = {
			method: method ?? "GET",
			headers: {
				Authorization: `Bearer ${this.#token}`,
				...json === void 0 ? {} : { "Content-Type": "application/json" },
				...headers
			},
			signal: signal ?? null,
			body: json === void 0 ? body ?? null : JSON.stringify(json)
		};
		try {
			return await fetch(address, request);
		} catch (error) {
			if (signal?.aborted) throw error;
			this.onReachable(false);
			throw new ApiError(0, {
				kind: "unreachable",
				message: "the server does not answer"
			});
		}
	}
	async #json(address, options = {}) {
		return await (await this.send(address, options)).json();
	}
	hello() {
		return this.#json("/api/hello");
	}
	folder(path) {
		return this.#json(`/api/folder?path=${encodeURIComponent(path)}`);
	}
	recent() {
		return this.#json("/api/recent");
	}
	async thumbnail(path) {
		const address = `/api/recent/thumbnail.jpg?path=${encodeURIComponent(path)}`;
		return (await this.send(address)).blob();
	}
	open(request) {
		return this.#json("/api/project", {
			method: "POST",
			json: request
		});
	}
	async close() {
		await this.send("/api/project", { method: "DELETE" });
	}
	project() {
		return this.#json("/api/project");
	}
	async picture(key, frame, width, signal) {
		const query = width > 0 ? `?w=${width}` : "";
		return (await this.send(`/api/frames/${key}/${frame}.jpg${query}`, { signal })).blob();
	}
	labels(at, signal) {
		const half = at.half ? "&half=1" : "";
		const stamp = encodeURIComponent(at.stamp);
		return this.#labelMap(`/api/labels/${at.key}/${at.frame}.png?s=${stamp}${half}`, signal);
	}
	marks(frame, signal) {
		return this.#labelMap(`/api/prompts/${frame}.png`, signal);
	}
	async #labelMap(address, signal) {
		const response = await this.send(address, { signal });
		if (response.status === 204) return null;
		return decodeLabels(new Uint8Array(await response.arrayBuffer()));
	}
	async mark(revision, at, pixels) {
		const body = await deflate(pixels);
		const address = `/api/prompts/${at.frame}?slots=${at.slots.join(",")}&did=${at.did}`;
		return this.#json(address, {
			method: "PUT",
			body,
			headers: matching(revision)
		});
	}
	unmark(revision, frame, slot) {
		return this.#edit("DELETE", `/api/prompts/${frame}?slots=${slot}`, revision);
	}
	addObject(revision) {
		return this.#edit("POST", "/api/objects", revision, {});
	}
	changeObject(revision, slot, change) {
		return this.#edit("PATCH", `/api/objects/${slot}`, revision, change);
	}
	deleteObject(revision, slot) {
		return this.#edit("DELETE", `/api/objects/${slot}`, revision);
	}
	setEnd(revision, frame, slot, ends) {
		return this.#edit(ends ? "POST" : "DELETE", "/api/ends", revision, {
			frame,
			slot
		});
	}
	undo(revision) {
		return this.#edit("POST", "/api/undo", revision, {});
	}
	redo(revision) {
		return this.#edit("POST", "/api/redo", revision, {});
	}
	importMask(revision, frame, file) {
		const headers = {
			...matching(revision),
			"X-Name": encodeURIComponent(file.name)
		};
		return this.#json(`/api/import?frame=${frame}`, {
			method: "POST",
			body: file,
			headers
		});
	}
	importFolder(revision, files) {
		const [folder] = files[0].webkitRelativePath.split("/");
		const inside = (file) => file.webkitRelativePath.slice(folder.length + 1);
		const listed = files.map((file) => [inside(file), file.size]);
		const body = new Blob([
			JSON.stringify({ files: listed }),
			"\n",
			...files
		]);
		const headers = {
			...matching(revision),
			"X-Name": encodeURIComponent(folder)
		};
		return this.#json("/api/import?folder=1", {
			method: "POST",
			body,
			headers
		});
	}
	#edit(method, address, revision, json) {
		return this.#json(address, {
			method,
			json,
			headers: matching(revision)
		});
	}
	async box(frame, slot, box) {
		await this.send("/api/boxes", {
			method: "POST",
			json: {
				frame,
				slot,
				box
			}
		});
	}
	startJob(request) {
		return this.#json("/api/jobs", {
			method: "POST",
			json: request
		});
	}
	async stopJob(id) {
		await this.send(`/api/jobs/${id}`, { method: "DELETE" });
	}
	async resumeAfterEdits(resume) {
		await this.send("/api/jobs", {
			method: "PATCH",
			json: { resume_after_edits: resume }
		});
	}
	tracks() {
		return this.#json("/api/tracks");
	}
	flags() {
		return this.#json("/api/flags");
	}
	seen(revision, flag, seen) {
		const { frame, slot, kind } = flag;
		return this.#edit("POST", "/api/flags/seen", revision, {
			frame,
			slot,
			kind,
			seen
		});
	}
	async downloadAddress(file) {
		return (await this.#json("/api/downloads", {
			method: "POST",
			json: { file }
		})).path;
	}
	async look(frame, step) {
		await this.send("/api/look", {
			method: "POST",
			json: {
				frame,
				step
			}
		});
	}
	upload(file, progress, signal) {
		return new Promise((resolve, reject) => {
			const request = new XMLHttpRequest();
			request.open("PUT", `/api/uploads/${encodeURIComponent(file.name)}`);
			request.setRequestHeader("Authorization", `Bearer ${this.#token}`);
			request.responseType = "json";
			request.upload.onprogress = (event) => progress(event.loaded);
			request.onerror = () => reject(new ApiError(0, {
				kind: "unreachable",
				message: "the upload was interrupted"
			}));
			request.onabort = () => reject(new DOMException("cancelled", "AbortError"));
			request.onload = () => request.status < 300 ? resolve(request.response.path) : reject(errorFrom(request.status, request.response));
			signal.addEventListener("abort", () => request.abort());
			request.send(file);
		});
	}
};
function matching(revision) {
	return { "If-Match": String(revision) };
}
async function errorOf(response) {
	const body = await response.json().catch(() => null);
	return errorFrom(response.status, body);
}
function errorFrom(status, body) {
	const fields = typeof body === "object" && body !== null ? body : {};
	const { error } = fields;
	const message = `the server answered with status ${status}`;
	return new ApiError(status, error ?? {
		kind: "unknown",
		message
	}, { ...fields });
}
// src/model/edits.ts
var AGAIN = {
	"disk full": 5e3,
	lost: 1e3
};
var EditQueue = class {
	state = y$1("saved");
	#options;
	#last = Promise.resolve();
	#waiting = 0;
	constructor(options) {
		this.#options = options;
	}
	get idle() {
		return this.#waiting === 0;
	}
	async settled() {
		while (!this.idle) await this.#last;
	}
	run(send, taken) {
		this.#waiting++;
		this.state.value = this.state.value === "saved" ? "saving" : this.state.value;
		const result = this.#last.then(() => this.#persist(send)).then(taken);
		this.#last = result.catch(() => void 0).then(() => {
			this.#waiting--;
			if (this.idle) this.state.value = "saved";
		});
		return result;
	}
	async #persist(send) {
		for (;;) try {
			const answer = await send(this.#options.revision());
			this.state.value = "saving";
			return answer;
		} catch (error) {
			const trouble = troubleOf(error);
			if (trouble === null) throw error;
			this.state.value = trouble;
			await this.#options.wait(AGAIN[trouble]);
		}
	}
};
function troubleOf(error) {
	if (!(error instanceof ApiError)) return null;
	if (error.unreachable) return "lost";
	return error.status === 507 ? "disk full" : null;
}
// src/model/events.ts
var FIRST_PAUSE = 500;
var LONGEST_PAUSE = 8e3;
var SILENCE = 25e3;
async function* linesOf(chunks) {
	const decoder = new TextDecoder();
	let rest = "";
	for await (const chunk of chunks) {
		rest += decoder.decode(chunk, { stream: true });
		const lines = rest.split("\n");
		rest = lines.pop() ?? "";
		for (const line of lines) if (line.trim() !== "") yield JSON.parse(line);
	}
}
function pauseAfter(failures) {
	return Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** Math.max(0, failures - 1));
}
async function* chunksOf(stream) {
	const reader = stream.getReader();
	try {
		for (;;) {
			const { done, value } = await reader.read();
			if (done) return;
			yield value;
		}
	} finally {
		reader.releaseLock();
	}
}
var EventStream = class {
	#api;
	#handler;
	#sequence = null;
	#opened = false;
	#abort = null;
	#silence = 0;
	constructor(api, handler) {
		this.#api = api;
		this.#handler = handler;
	}
	async run(after) {
		this.#sequence = after;
		for (let failures = 0;; failures++) {
			try {
				await this.#read(() => {
					failures = 0;
				});
			} catch {}
			await new Promise((resolve) => setTimeout(resolve, pauseAfter(failures + 1)));
		}
	}
	async #read(onOpen) {
		this.#abort = new AbortController();
		const { signal } = this.#abort;
		const query = this.#sequence === null ? "" : `?after=${this.#sequence}`;
		const response = await this.#api.send(`/api/events${query}`, { signal });
		if (response.body === null) return;
		onOpen();
		this.#handler.onOpen(this.#opened);
		this.#opened = true;
		this.#listen();
		for await (const event of linesOf(chunksOf(response.body))) {
			this.#listen();
			this.#note(event);
			this.#handler.onEvent(event);
		}
	}
	#note({ type, seq }) {
		if (!(type === "hello" && this.#sequence !== null && seq >= this.#sequence)) this.#sequence = seq;
	}
	#listen() {
		clearTimeout(this.#silence);
		this.#silence = setTimeout(() => this.#abort?.abort(), SILENCE);
	}
};
var HOLD = "Hold the frame before it";
function tellOfJob(session, job) {
	const name = job.what === "track" ? "Tracking" : "Export";
	if (job.state === "failed") explainFailure(session, job, name);
	else if (job.state === "stopped" && job.note) explainStop(session, job, name);
	else session.toasts.announce(`${name}: ${job.state}`);
}
function explainFailure(session, { error }, name) {
	const hold = {
		label: HOLD,
		run: () => void session.holdBadFrames()
	};
	const action = error?.kind === "FrameError" ? hold : void 0;
	session.toasts.error(error?.message ?? `${name} failed`, action);
}
function explainStop(session, job, name) {
	const { direction, until } = job;
	const again = () => {
		const end = until == null ? {} : { until };
		session.startJob({
			what: "track",
			direction: direction ?? "forward",
			...end
		});
	};
	const action = job.what === "track" ? {
		label: "Go on",
		run: again
	} : void 0;
	session.toasts.error(`${name} stopped: ${job.note}`, action);
}
// src/stage/frames.ts
var Cache = class {
	#limit;
	#entries = new Map();
	#dropped;
	#bytes = 0;
	constructor(limit, dropped = () => void 0) {
		this.#limit = limit;
		this.#dropped = dropped;
	}
	get bytes() {
		return this.#bytes;
	}
	has(key) {
		return this.#entries.has(key);
	}
	get(key) {
		const entry = this.#entries.get(key);
		if (entry === void 0) return void 0;
		this.#entries.delete(key);
		this.#entries.set(key, entry);
		return entry.value;
	}
	set(key, value, bytes) {
		this.delete(key);
		this.#entries.set(key, {
			value,
			bytes
		});
		this.#bytes += bytes;
		for (const oldest of this.#entries.keys()) {
			if (this.#bytes <= this.#limit || oldest === key) break;
			this.delete(oldest);
		}
	}
	delete(key) {
		const entry = this.#entries.get(key);
		if (entry === void 0) return;
		this.#entries.delete(key);
		this.#bytes -= entry.bytes;
		this.#dropped(entry.value);
	}
	deleteWhere(condition) {
		for (const key of [...this.#entries.keys()]) if (condition(key)) this.delete(key);
	}
};
var AT_ONCE = 4;
var PAUSE = 500;
var Fetcher = class {
	#under = new Map();
	#failed = new Map();
	#arrived;
	#isPermanent;
	#wants = [];
	constructor(arrived, isPermanent) {
		this.#arrived = arrived;
		this.#isPermanent = isPermanent;
	}
	want(wants, kept = new Set()) {
		this.#wants = wants;
		const wanted = new Set(wants.map((want) => want.key));
		for (const [key, controller] of this.#under) {
			if (wanted.has(key) || kept.has(key)) continue;
			this.#under.delete(key);
			controller.abort();
		}
		this.#start();
	}
	failure(key) {
		return this.#failed.get(key);
	}
	forgive(beginning = "") {
		for (const key of [...this.#failed.keys()]) if (key.startsWith(beginning)) this.#failed.delete(key);
	}
	#start() {
		for (const want of this.#wants) {
			if (this.#under.size >= AT_ONCE) return;
			if (this.#under.has(want.key) || this.#failed.has(want.key)) continue;
			this.#fetch(want);
		}
	}
	async #fetch(want) {
		const controller = new AbortController();
		this.#under.set(want.key, controller);
		let failure = null;
		try {
			await want.load(controller.signal);
		} catch (error) {
			failure = error;
		}
		if (this.#under.get(want.key) !== controller) return;
		this.#under.delete(want.key);
		if (failure === null) this.#wants = this.#wants.filter((other) => other.key !== want.key);
		if (failure !== null && this.#isPermanent(failure)) this.#failed.set(want.key, failure);
		this.#arrived();
		if (failure === null || this.#isPermanent(failure)) this.#start();
		else setTimeout(() => this.#start(), PAUSE);
	}
};
function around(frame, direction, count, ahead) {
	const frames = Array.from({ length: ahead }, (_, i) => frame + direction * (i + 1));
	frames.splice(4, 0, frame - direction);
	return frames.filter((other) => other >= 0 && other < count);
}
// src/model/marks.ts
var LIMIT = 32 * 2 ** 20;
var Marks$1 = class {
	version = y$1(0);
	#known = new Cache(LIMIT);
	of(frame) {
		return this.#known.get(String(frame));
	}
	put(frame, marks) {
		this.#known.set(String(frame), marks, marks?.data.length ?? 1);
	}
	forget(frames) {
		if (frames === null) this.#known.deleteWhere(() => true);
		else for (const frame of frames) this.#known.delete(String(frame));
		this.version.value = this.version.peek() + 1;
	}
};
// src/model/results.ts
var Results = class {
	version = y$1(0);
	tracks = new Map();
	#stamps = [];
	#done = 0;
	reset(count, spans) {
		this.tracks.clear();
		this.setStamps(count, spans);
	}
	setStamps(count, spans) {
		this.#stamps = new Array(count).fill(null);
		for (const [from, to, stamp] of spans) this.#stamps.fill(stamp, from, to + 1);
		this.#changed();
	}
	stampOf(frame) {
		return this.#stamps[frame] ?? null;
	}
	get done() {
		return this.#done;
	}
	covers(from, to) {
		for (let frame = from; frame <= to; frame++) if (this.stampOf(frame) === null) return false;
		return true;
	}
	update(from, to, stamp, tracks) {
		this.#stamps.fill(stamp, from, to + 1);
		for (const track of this.tracks.values()) {
			track.area.fill(stamp === null ? -1 : 0, from, to + 1);
			track.confidence.fill(NaN, from, to + 1);
		}
		for (const [slot, encoded] of Object.entries(tracks)) {
			const track = this.#track(Number(slot));
			track.area.set(int32Of(encoded.area).subarray(0, to - from + 1), from);
			track.confidence.set(float32Of(encoded.confidence).subarray(0, to - from + 1), from);
		}
		this.#changed();
	}
	setTracks(slots) {
		this.tracks.clear();
		for (const [slot, encoded] of Object.entries(slots)) this.tracks.set(Number(slot), {
			area: int32Of(encoded.area),
			confidence: float32Of(encoded.confidence)
		});
		this.#changed();
	}
	#track(slot) {
		let track = this.tracks.get(slot);
		if (track === void 0) {
			track = {
				area: new Int32Array(this.#stamps.length).fill(-1),
				confidence: new Float32Array(this.#stamps.length).fill(NaN)
			};
			this.tracks.set(slot, track);
		}
		return track;
	}
	#changed() {
		this.#done = this.#stamps.reduce((sum, stamp) => sum + (stamp === null ? 0 : 1), 0);
		this.version.value = this.version.peek() + 1;
	}
};
// src/model/snapshots.ts
var Snapshots = class {
	#again;
	#newest = new Map();
	#pending = 0;
	#events = [];
	constructor(again) {
		this.#again = again;
	}
	note(event) {
		if (this.#pending > 0) this.#events.push(event);
	}
	forget() {
		this.#newest.clear();
		this.#events = [];
	}
	async load(kind, ask, take) {
		this.#pending++;
		try {
			const answer = await ask();
			if (answer === null || answer.seq < (this.#newest.get(kind) ?? 0)) return;
			this.#newest.set(kind, answer.seq);
			take(answer);
			for (const event of this.#events) if (event.seq > answer.seq) this.#again(event);
		} finally {
			this.#pending--;
			if (this.#pending === 0) this.#events = [];
		}
	}
};
// src/model/toasts.ts
var SHOWN = {
	info: 5e3,
	error: 12e3,
	offer: 12e3
};
var Toasts = class {
	shown = y$1([]);
	announced = y$1("");
	#next = 1;
	info(text, action) {
		this.#show("info", text, action);
	}
	offer(text, action) {
		this.#show("info", text, action, SHOWN.offer);
	}
	error(text, action) {
		this.#show("error", text, action);
	}
	announce(text) {
		this.announced.value = text;
	}
	close(key) {
		this.shown.value = this.shown.value.filter((toast) => toast.key !== key);
	}
	clear() {
		this.shown.value = [];
	}
	#show(level, text, action, time) {
		const others = this.shown.value.filter((toast) => toast.text !== text);
		const toast = {
			key: this.#next++,
			level,
			text,
			...action ? { action } : {}
		};
		this.shown.value = [...others, toast].slice(-4);
		const shown = time ?? (action === void 0 ? SHOWN[level] : void 0);
		if (shown !== void 0) setTimeout(() => this.close(toast.key), shown);
	}
};
// src/model/session.ts
var Session = class {
	api;
	look;
	hello = y$1(null);
	project = y$1(null);
	job = y$1(null);
	flags = y$1([]);
	worker = y$1("");
	external = y$1(null);
	reachable = y$1(true);
	openings = y$1(0);
	boxesPending = y$1(0);
	results = new Results();
	marks = new Marks$1();
	toasts = new Toasts();
	edits;
	speed = y$1(null);
	video = O(() => this.project.value?.video ?? null);
	last = O(() => (this.project.value?.video.count ?? 1) - 1);
	#events;
	#snapshots = new Snapshots((event) => this.#takeAgain(event));
	#stale = false;
	constructor(api, look) {
		this.api = api;
		this.look = look;
		this.edits = new EditQueue({
			revision: () => this.project.value?.revision ?? 0,
			wait: (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds))
		});
		api.onReachable = (reachable) => {
			this.reachable.value = reachable;
		};
		this.#events = new EventStream(api, {
			onEvent: (event) => {
				this.#snapshots.note(event);
				this.#take(event);
			},
			onOpen: (again) => {
				if (again) this.#snapshots.forget();
				if (again || this.hello.value === null) this.#greet();
			}
		});
	}
	async begin() {
		await this.#greet();
		this.#events.run(this.hello.value?.seq ?? null);
	}
	async #greet() {
		await this.#load("project", () => this.api.hello(), (hello) => {
			this.hello.value = hello;
			if (hello.project === null) this.project.value = null;
			else this.#show(hello.project);
		});
	}
	async open(request) {
		const ask = () => this.api.open(request);
		await this.#snapshots.load("project", ask, (project) => this.#show(project));
	}
	async #load(kind, ask, take) {
		try {
			await this.#snapshots.load(kind, ask, take);
		} catch (error) {
			this.complain(error);
		}
	}
	async holdBadFrames() {
		const { value } = this.project;
		const frame = this.look.frame.value;
		if (value === null) return;
		try {
			await this.edits.settled();
			await this.open({
				run: value.run,
				on_bad_frame: "hold"
			});
			this.goTo(frame);
		} catch (error) {
			this.complain(error);
		}
	}
	async close() {
		await this.edits.settled();
		await this.api.close();
		this.project.value = null;
		await this.#greet();
	}
	#show(project) {
		const same = this.project.value?.key === project.key;
		r(() => {
			this.look.begin(project.key, project.video.count);
			if (same) this.results.setStamps(project.video.count, project.stamps);
			else this.results.reset(project.video.count, project.stamps);
			if (!same) {
				this.toasts.clear();
				this.boxesPending.value = 0;
			}
			this.marks.forget(null);
			this.openings.value = this.openings.peek() + 1;
			this.project.value = project;
			if (!same || project.job !== null || isActive(this.job.value)) this.job.value = project.job;
			this.external.value = project.external?.note ?? null;
			this.look.resumeAfterEdits.value = project.resume_after_edits;
			this.#chooseSlot();
		});
		this.#loadTracks();
		this.#loadFlags();
	}
	#chooseSlot() {
		const slots = (this.project.value?.objects ?? []).map((object) => object.slot);
		const { slot } = this.look;
		if (slot.value === null || !slots.includes(slot.value)) slot.value = slots[0] ?? null;
	}
	#loadTracks() {
		const ask = () => this.api.tracks();
		return this.#load("tracks", ask, ({ slots }) => this.results.setTracks(slots));
	}
	async #loadFlags() {
		try {
			this.flags.value = (await this.api.flags()).flags;
		} catch (error) {
			this.complain(error);
		}
	}
	async #refresh(frames) {
		await this.edits.settled();
		await this.#load("project", () => this.#askForProject(), (project) => {
			if (!this.edits.idle) return void this.#refresh(frames);
			this.#stale = false;
			r(() => {
				this.marks.forget(frames);
				this.results.setStamps(project.video.count, project.stamps);
				this.project.value = project;
				this.#chooseSlot();
			});
		});
	}
	async #askForProject() {
		const project = await this.api.project();
		if (project === null) this.#greet();
		return project;
	}
	#takeAgain(event) {
		if (event.type === "labels") this.results.update(event.from, event.to, event.stamp, event.tracks);
		else if (event.type === "outdated") this.#setOutdated(event.from);
		else if (event.type === "job") this.job.value = event;
		else if (event.type === "external") this.external.value = event.note ?? null;
		else if (event.type === "document") this.#documentChanged(event.revision, event.frames);
	}
	#take(event) {
		switch (event.type) {
			case "document":
				this.#documentChanged(event.revision, event.frames);
				break;
			case "labels":
				this.#labelsMade(event);
				break;
			case "outdated":
				this.edits.settled().then(() => this.#setOutdated(event.from));
				break;
			case "job":
				this.#jobChanged(event);
				break;
			case "worker":
				if (event.name === "model") this.worker.value = event.state;
				break;
			case "flags":
				this.#loadFlags();
				break;
			case "project":
			case "reload":
				this.#greet();
				break;
			case "external":
				this.external.value = event.note ?? null;
				break;
			case "notice":
				this.boxesPending.value = 0;
				this.toasts[event.level](event.message);
		}
	}
	#documentChanged(revision, frames) {
		this.#stale = true;
		this.edits.settled().then(() => {
			const known = this.project.value?.revision ?? 0;
			if (!this.#stale || revision <= known) return;
			this.#refresh(frames).then(() => {
				this.boxesPending.value = 0;
			});
		});
	}
	#labelsMade(event) {
		this.results.update(event.from, event.to, event.stamp, event.tracks);
		const newest = this.job.value?.pass === "backward" ? event.from : event.to;
		if (this.look.follow.value && this.job.value?.state === "running") this.goTo(newest);
	}
	#setOutdated(from) {
		const project = this.project.value;
		if (project === null || project.outdated_from === from) return;
		this.project.value = {
			...project,
			outdated_from: from
		};
	}
	#jobChanged(job) {
		const before = this.job.value;
		this.job.value = job;
		if (job.what === "track" && job.rate) this.speed.value = job.rate;
		if (before?.id === job.id && before.state === job.state) return;
		tellOfJob(this, job);
		if ([
			"done",
			"stopped",
			"failed"
		].includes(job.state)) this.#refreshOutdated();
	}
	async #refreshOutdated() {
		await this.#load("outdated", () => this.#askForProject(), (project) => {
			this.#setOutdated(project.outdated_from);
			this.results.setStamps(project.video.count, project.stamps);
		});
	}
	goTo(frame) {
		const next = Math.min(this.last.value, Math.max(0, Math.round(frame)));
		const { look } = this;
		if (next === look.frame.value) return;
		r(() => {
			look.direction.value = next > look.frame.value ? 1 : -1;
			look.frame.value = next;
		});
	}
	async edit(send, taken = () => void 0) {
		try {
			await this.edits.run(send, (answer) => {
				this.#takeUp(answer);
				taken(answer);
			});
		} catch (error) {
			await this.#refresh(null);
			if (error instanceof ApiError && error.kind === "stale") this.toasts.error("The project was changed elsewhere, so this edit was not made.", {
				label: "Repeat",
				run: () => void this.edit(send, taken)
			});
			else this.complain(error);
		}
	}
	#takeUp(answer) {
		const project = this.project.value;
		if (project === null) return;
		const { did: _, frame: __, slot: ___, report: ____, ...document } = answer;
		this.#stale = false;
		this.project.value = {
			...project,
			...document
		};
		this.#chooseSlot();
	}
	async startJob(request) {
		try {
			await this.edits.settled();
			const job = await this.api.startJob(request);
			if (this.job.value?.id !== job.id) this.job.value = job;
		} catch (error) {
			this.complain(error);
		}
	}
	async stopJob() {
		const job = this.job.value;
		if (job === null || !isActive(job)) return;
		this.job.value = {
			...job,
			state: "stopping"
		};
		await this.api.stopJob(job.id).catch((error) => this.complain(error));
	}
	async markSeen(flag, seen) {
		this.flags.value = this.flags.value.map((other) => other === flag ? {
			...flag,
			seen
		} : other);
		await this.edit((revision) => this.api.seen(revision, flag, seen));
	}
	complain(error) {
		if (error instanceof ApiError && error.unreachable) return;
		this.toasts.error(error instanceof Error ? error.message : String(error));
	}
};
function isActive(job) {
	return job !== null && [
		"queued",
		"running",
		"stopping"
	].includes(job.state);
}
// src/panels/icons.tsx
var PATHS = {
	move: "M5 3l6 14 2-6 6-2z",
	brush: "M19 3L9 13l2 2L21 5zM8 14c-2 0-3 2-3 4 0 1-1 2-2 2 3 1 8 1 8-3z",
	eraser: "M4 16L14 5l6 6-9 9H7zM9 10l6 6",
	polygon: "M12 3l8 6-3 10H7L4 9z",
	box: "M4 5h16v14H4z",
	undo: "M4 9h10a5 5 0 010 10H9M4 9l4-4M4 9l4 4",
	redo: "M20 9H10a5 5 0 000 10h5M20 9l-4-4M20 9l-4 4",
	eye: "M2 12c4-8 16-8 20 0-4 8-16 8-20 0zM12 9a3 3 0 110 6 3 3 0 010-6z",
	eyeOff: "M3 3l18 18M2 12c1-2 3-4 5-5M10 6c5-1 10 1 12 6-1 2-2 3-4 4M14 17c-5 1-10-1-12-5",
	lock: "M6 11h12v9H6zM8 11V8a4 4 0 018 0v3",
	lockOpen: "M6 11h12v9H6zM8 11V8a4 4 0 017-3",
	more: "M5 11h2v2H5zM11 11h2v2h-2zM17 11h2v2h-2z",
	plus: "M12 4v16M4 12h16",
	first: "M6 5v14M18 5l-9 7 9 7z",
	back: "M16 5l-9 7 9 7z",
	play: "M7 4l12 8-12 8z",
	pause: "M8 5v14M16 5v14",
	next: "M8 5l9 7-9 7z",
	last: "M18 5v14M6 5l9 7-9 7z",
	down: "M6 9l6 6 6-6",
	check: "M4 12l5 6L20 6",
	close: "M5 5l14 14M19 5L5 19",
	folder: "M3 6h7l2 3h9v10H3z",
	film: "M3 5h18v14H3zM7 5v14M17 5v14M3 12h4M17 12h4",
	flag: "M12 4l9 16H3z",
	up: "M6 15l6-6 6 6",
	fit: "M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5"
};
function Icon({ name }) {
	return k$2("svg", {
		class: "icon",
		viewBox: "0 0 24 24",
		"aria-hidden": "true"
	}, k$2("path", { d: PATHS[name] }));
}
// src/panels/dialog.tsx
function Dialog({ title, onClose, children }) {
	const element = T$1(null);
	A$1(() => {
		const before = document.activeElement;
		element.current?.showModal();
		return () => {
			if (before instanceof HTMLElement) before.focus();
		};
	}, []);
	return k$2("dialog", {
		ref: element,
		"aria-label": title,
		onClose
	}, k$2("div", { class: "head" }, k$2("h2", null, title), k$2("button", {
		type: "button",
		class: "quiet",
		"aria-label": "Close",
		onClick: onClose
	}, k$2(Icon, { name: "close" }))), children);
}
// src/panels/export_options.tsx
function ExportOptions({ options, objects, choice }) {
	if (options.length === 0) return null;
	return k$2("fieldset", { class: "options" }, k$2("legend", null, "Options"), options.map((option) => option.kind === "objects" ? k$2(ObjectsOption, {
		key: option.name,
		objects,
		choice
	}) : k$2(PlainOption, {
		key: option.name,
		option,
		choice
	})));
}
function PlainOption({ option, choice }) {
	const value = choice.value.values[option.name] ?? option.usual;
	const set = (next) => {
		const { values } = choice.value;
		choice.value = {
			...choice.value,
			values: {
				...values,
				[option.name]: next
			}
		};
	};
	if (option.kind === "choice") return k$2(Choice, {
		option,
		value,
		set
	});
	if (option.kind !== "flag") return k$2(NumberField$1, {
		option,
		value,
		set
	});
	return k$2("label", { class: "check" }, k$2("input", {
		type: "checkbox",
		checked: value === true,
		onChange: (event) => set(event.currentTarget.checked)
	}), option.title);
}
function Choice({ option, value, set }) {
	return k$2("label", { class: "field" }, option.title, k$2("select", {
		value: String(value),
		onChange: (event) => set(event.currentTarget.value)
	}, option.choices.map(([name, title]) => k$2("option", {
		key: name,
		value: name
	}, title))));
}
function NumberField$1({ option, value, set }) {
	const text = value === null ? "" : String(value);
	return k$2("label", { class: "field" }, option.title, k$2("input", {
		type: "number",
		value: text,
		min: option.least ?? void 0,
		max: option.most ?? void 0,
		step: option.kind === "whole" ? 1 : "any",
		onChange: (event) => {
			const typed = typedNumber(option, event.currentTarget.value);
			if (typed === void 0) event.currentTarget.value = text;
			else set(typed);
		}
	}));
}
function ObjectsOption({ objects, choice }) {
	const { without, each } = choice.value;
	return k$2("fieldset", { class: "of-objects" }, k$2("legend", null, "Objects in cut-outs, mattes and effects"), objects.map((object) => k$2("label", {
		key: object.id,
		class: "check"
	}, k$2("input", {
		type: "checkbox",
		checked: !without.has(object.id),
		onChange: (event) => {
			const next = toggled(without, object.id, !event.currentTarget.checked);
			choice.value = {
				...choice.value,
				without: next
			};
		}
	}), titleOf(object))), k$2("label", { class: "check" }, k$2("input", {
		type: "checkbox",
		checked: each,
		onChange: (event) => {
			choice.value = {
				...choice.value,
				each: event.currentTarget.checked
			};
		}
	}), "one file for each object"));
}
// src/panels/export.tsx
function ExportDialog() {
	const workspace = useWorkspace();
	const { session, dialog } = workspace;
	const choice = useSignal(NOTHING);
	const onlySpan = useSignal(false);
	const span = onlySpan.value ? spanOf(workspace) : null;
	const project = session.project.value;
	const job = session.job.value;
	session.results.version.value;
	if (project === null) return null;
	const [from, to] = span ?? [0, project.video.count - 1];
	const complete = session.results.covers(from, to);
	const { exports = [], export_options = [] } = session.hello.value ?? {};
	const { names } = choice.value;
	const shown = optionsFor(exports, export_options, names, project);
	const possible = complete && isPossible(choice.value, project.objects);
	const start = () => {
		const options = requestOptions(choice.value, shown, project.objects);
		const request = {
			exports: [...names],
			options,
			...span ? { span } : {}
		};
		session.startJob({
			what: "export",
			...request
		});
	};
	return k$2(Dialog, {
		title: "Export",
		onClose: () => {
			dialog.value = null;
		}
	}, k$2("form", {
		class: "export",
		onSubmit: (event) => {
			event.preventDefault();
			start();
		}
	}, k$2(Range, { only: onlySpan }), k$2(Files, {
		exports,
		choice,
		frames: to - from + 1,
		video: project.video
	}), k$2(ExportOptions, {
		options: shown,
		objects: project.objects,
		choice
	}), !complete && k$2("p", { class: "hint" }, "Some of these frames have no masks yet: track them first."), k$2("div", { class: "buttons" }, k$2("button", {
		type: "submit",
		class: "main",
		disabled: !possible || isActive(job)
	}, "Export"), job?.what === "export" && isActive(job) && k$2("button", {
		type: "button",
		onClick: () => void session.stopJob()
	}, "Cancel"))), job?.what === "export" && k$2(Result, { job }));
}
function Files({ exports, choice, frames, video }) {
	const { names } = choice.value;
	return k$2("div", { class: "files" }, grouped(exports).map(([group, offers]) => k$2("fieldset", { key: group }, k$2("legend", null, group), offers.map((offer) => ({
		...offer,
		bytes: expectedBytes(offer, video, frames)
	})).map(({ name, title, bytes }) => k$2("label", {
		key: name,
		class: "check"
	}, k$2("input", {
		type: "checkbox",
		checked: names.has(name),
		onChange: (event) => {
			const next = toggled(names, name, event.currentTarget.checked);
			choice.value = {
				...choice.value,
				names: next
			};
		}
	}), k$2("span", null, title, " ", bytes !== null && k$2("span", { class: "hint" }, "≈ ", bytesText(bytes))))))));
}
function spanOf({ look, session }) {
	return [look.inPoint.value ?? 0, look.outPoint.value ?? session.last.value];
}
function Range({ only }) {
	const workspace = useWorkspace();
	const { look, session } = workspace;
	const first = session.project.value?.video.first ?? 0;
	const none = look.inPoint.value === null && look.outPoint.value === null;
	const [from, to] = spanOf(workspace);
	return k$2("fieldset", null, k$2("legend", null, "Range"), k$2("label", { class: "check" }, k$2("input", {
		type: "radio",
		name: "range",
		checked: !only.value,
		onChange: () => {
			only.value = false;
		}
	}), "all frames"), k$2("label", { class: "check" }, k$2("input", {
		type: "radio",
		name: "range",
		disabled: none,
		checked: only.value,
		onChange: () => {
			only.value = true;
		}
	}), none ? "in to out point (set them with I and O)" : `frames ${from + first} to ${to + first}`));
}
function Result({ job }) {
	const element = T$1(null);
	A$1(() => element.current?.scrollIntoView({ block: "end" }), [job.state]);
	return k$2("div", { ref: element }, k$2(ResultOf, { job }));
}
function ResultOf({ job }) {
	if (job.state === "failed") return k$2("p", { role: "alert" }, job.error?.message ?? "The export failed.");
	if (job.state === "stopped") return k$2("p", null, "Cancelled; files that were whole are kept.");
	if (job.state !== "done") return k$2("p", null, k$2("progress", {
		"aria-label": "Export",
		value: job.total ? (job.done ?? 0) / job.total : 0,
		max: 1
	}), " ", job.done ?? 0, " of ", job.total ?? "?");
	return k$2("ul", {
		class: "made",
		"aria-label": "Finished files"
	}, (job.files ?? []).map((file) => k$2(FileRow, {
		key: file.name,
		file
	})));
}
function FileRow({ file }) {
	const { session } = useWorkspace();
	const run = session.project.value?.run;
	const folder = file.name.replace(/\.zip$/, "");
	const path = file.name === "labels.zip" ? run : `${run}/exports/${folder}`;
	const pathShown = useSignal(false);
	const download = async () => {
		try {
			const link = document.createElement("a");
			link.href = await session.api.downloadAddress(file.name);
			link.download = "";
			link.click();
		} catch (error) {
			session.complain(error);
		}
	};
	return k$2("li", null, k$2("span", { class: "text" }, pathShown.value ? path : file.name, " ", file.bytes !== null && k$2("span", { class: "hint" }, bytesText(file.bytes))), k$2("button", {
		type: "button",
		class: "small",
		onClick: () => void download()
	}, "Download"), k$2("button", {
		type: "button",
		class: "small",
		onClick: () => {
			pathShown.value = !pathShown.value;
		}
	}, pathShown.value ? "Hide path" : "Show path"));
}
// src/panels/flags.tsx
function Flags() {
	const workspace = useWorkspace();
	const { session, look } = workspace;
	const project = session.project.value;
	if (project === null) return null;
	const unseen = session.flags.value.filter((flag) => !flag.seen);
	const left = unseen.length;
	return k$2("section", { "aria-labelledby": "flags-title" }, k$2("header", null, k$2("h2", { id: "flags-title" }, "Look at these (", left, ")"), k$2("button", {
		type: "button",
		class: "small",
		disabled: left === 0,
		"aria-keyshortcuts": "N",
		title: "Next frame to look at (N)",
		onClick: () => COMMANDS.nextFlag.run(workspace)
	}, "Next")), left === 0 && k$2("p", { class: "hint" }, "No frame stands out."), k$2("ul", { class: "flags" }, unseen.map((flag) => k$2("li", { key: `${flag.frame} ${flag.slot} ${flag.kind}` }, k$2("button", {
		type: "button",
		class: "name",
		"aria-current": flag.frame === look.frame.value,
		onClick: () => {
			session.goTo(flag.frame);
			look.slot.value = flag.slot;
		}
	}, k$2(Icon, { name: "flag" }), k$2("span", { class: "text" }, flag.frame + project.video.first, " · ", objectOf(project, flag.slot)?.id ?? "?", " ", flag.text)), k$2("button", {
		type: "button",
		class: "quiet",
		"aria-label": `Checked: frame ${flag.frame + project.video.first}, ${flag.text}`,
		title: "Checked (C)",
		onClick: () => void session.markSeen(flag, true)
	}, k$2(Icon, { name: "check" }))))));
}
// src/panels/frame.tsx
function FramePanel() {
	const workspace = useWorkspace();
	const { session, stage } = workspace;
	const project = session.project.value;
	session.results.version.value;
	stage.value?.painted.value;
	if (project === null) return null;
	const areas = stage.value?.areas() ?? null;
	return k$2("section", { "aria-labelledby": "frame-title" }, k$2("header", null, k$2("h2", { id: "frame-title" }, "This frame")), project.objects.length === 0 && k$2("p", { class: "hint" }, "No objects yet."), k$2("ul", { class: "facts-list" }, project.objects.map((object) => k$2("li", { key: object.slot }, k$2("span", { class: "text" }, titleOf(object)), k$2("span", null, factsOf(workspace, project, object, areas))))));
}
function factsOf({ session, look }, project, { slot }, areas) {
	const frame = look.frame.value;
	const marked = (project.prompts[frame] ?? []).includes(slot);
	const size = areas === null ? "" : `${areas[slot].toLocaleString("en")} px`;
	if ((project.absent[frame] ?? []).includes(slot)) return "marked as absent";
	if ((project.lost[frame] ?? []).includes(slot)) return "mask not available";
	if (project.ends.some(([at, other]) => at === frame && other === slot)) return "ends here";
	if (marked) return `${size} · marked`;
	const changed = changesOf(project, frame, slot);
	if (changed !== null) return `${size} · ${changed}`;
	if (session.results.stampOf(frame) === null) return size === "0 px" || size === "" ? "–" : size;
	if (areas !== null && areas[slot] === 0) return "absent";
	const confidence = session.results.tracks.get(slot)?.confidence[frame];
	return `${size} ${confidence === void 0 || Number.isNaN(confidence) ? "" : confidence.toFixed(2)}`;
}
// src/panels/button.tsx
function CommandButton({ command, icon, name, pressed, disabled, children, ...rest }) {
	const workspace = useWorkspace();
	const { keys, says, run } = COMMANDS[command];
	const label = name ?? says;
	return k$2("button", {
		type: "button",
		class: rest.class ?? "quiet",
		"aria-label": label,
		"aria-keyshortcuts": ariaKeys(command),
		"aria-pressed": pressed,
		disabled,
		title: `${label} (${keys[0]})`,
		onClick: () => run(workspace)
	}, icon && k$2(Icon, { name: icon }), children);
}
// src/panels/menu.tsx
var GAP = 4;
function Menu({ name, choices, disabled, children, ...rest }) {
	const open = useSignal(false);
	const root = T$1(null);
	const list = T$1(null);
	A$1(() => {
		if (!open.value) return;
		place(list.current, root.current);
		focusIn(list.current, 0);
		const outside = (event) => {
			if (!root.current?.contains(event.target)) open.value = false;
		};
		addEventListener("pointerdown", outside);
		return () => removeEventListener("pointerdown", outside);
	}, [open, open.value]);
	const close = () => {
		open.value = false;
		root.current?.querySelector("button")?.focus();
	};
	return k$2("div", {
		class: "menu",
		ref: root
	}, k$2("button", {
		type: "button",
		class: rest.class ?? "quiet",
		"aria-label": name,
		"aria-haspopup": "menu",
		"aria-expanded": open.value,
		title: name,
		disabled,
		onClick: () => {
			open.value = !open.value;
		}
	}, children), open.value && k$2("div", {
		role: "menu",
		tabIndex: -1,
		"aria-label": name,
		ref: list,
		onKeyDown: (event) => moveIn(event, list.current, close)
	}, choices.map((choice) => k$2("button", {
		key: choice.label,
		type: "button",
		role: "menuitem",
		"aria-current": choice.checked,
		disabled: choice.disabled,
		onClick: () => {
			close();
			choice.run();
		}
	}, k$2("span", null, choice.label), choice.hint && k$2("span", { class: "hint" }, choice.hint)))));
}
function place(list, root) {
	if (list === null || root === null) return;
	const button = root.getBoundingClientRect();
	const { offsetWidth, offsetHeight } = list;
	const left = button.left > innerWidth / 2 ? button.right - offsetWidth : button.left;
	list.style.left = `${Math.max(GAP, left)}px`;
	const lowest = innerHeight - offsetHeight - GAP;
	list.style.top = `${Math.max(GAP, Math.min(button.bottom + GAP, lowest))}px`;
}
function itemsOf(list) {
	return [...list?.querySelectorAll("button:enabled") ?? []];
}
function focusIn(list, place) {
	const items = itemsOf(list);
	items[(place + items.length) % items.length]?.focus();
}
function moveIn(event, list, close) {
	const now = itemsOf(list).indexOf(document.activeElement);
	if (event.key === "ArrowDown") focusIn(list, now + 1);
	else if (event.key === "ArrowUp") focusIn(list, now - 1);
	else if (event.key === "Escape") close();
	else if (event.key === "Tab") return close();
	else return;
	event.preventDefault();
	event.stopPropagation();
}
// src/panels/header.tsx
function Header() {
	const workspace = useWorkspace();
	const { session, dialog } = workspace;
	const project = session.project.value;
	if (project === null) return null;
	const { width, height, rate, count } = project.video;
	const speed = rate === null ? "" : ` · ${Number(rate.toFixed(3))} fps`;
	return k$2("header", { class: "bar" }, k$2("h1", { class: "only-read" }, project.name), k$2(Menu, {
		name: `${project.name}: project`,
		choices: [
			{
				label: "Close the project",
				run: () => void session.close()
			},
			{
				label: "Import a mask for this frame…",
				run: () => importMasks(workspace, false)
			},
			{
				label: "Import a folder of masks…",
				run: () => importMasks(workspace, true)
			},
			{
				label: "Copy the command line",
				run: () => void copyCommand(workspace)
			}
		]
	}, k$2("strong", null, project.name), k$2(Icon, { name: "down" })), k$2("span", { class: "facts" }, width, "×", height, speed, " · ", count, " frames"), k$2(Saved, null), k$2("span", { class: "space" }), k$2(CommandButton, {
		command: "undo",
		icon: "undo",
		disabled: project.undo === null
	}), k$2(CommandButton, {
		command: "redo",
		icon: "redo",
		disabled: project.redo === null
	}), k$2(TrackButton, null), k$2("button", {
		type: "button",
		"aria-keyshortcuts": "Control+E",
		title: "Export (Ctrl+E)",
		onClick: () => COMMANDS.export.run(workspace)
	}, "Export…"), k$2("button", {
		type: "button",
		class: "quiet",
		"aria-label": "Help",
		"aria-keyshortcuts": "?",
		title: "Help (?)",
		onClick: () => {
			dialog.value = "help";
		}
	}, "?"));
}
var STATES = {
	saved: "saved in",
	saving: "saving in",
	"disk full": "not saved in",
	lost: "not saved in"
};
function Saved() {
	const { session } = useWorkspace();
	const state = session.edits.state.value;
	const run = session.project.value?.run ?? "";
	return k$2("span", { class: `saved ${state === "saved" || state === "saving" ? "" : "trouble"}` }, state === "saved" && k$2(Icon, { name: "check" }), STATES[state], " ", run);
}
function TrackButton() {
	const workspace = useWorkspace();
	const { session, look } = workspace;
	const choice = look.trackChoice.value;
	const busy = isActive(session.job.value);
	session.results.version.value;
	const choices = Object.keys(TRACK_CHOICES).map((other) => ({
		label: TRACK_CHOICES[other],
		hint: estimate(workspace, other),
		checked: other === choice,
		run: () => track(workspace, other)
	}));
	return k$2("div", { class: "joined" }, k$2("button", {
		type: "button",
		class: "main",
		disabled: busy,
		"aria-keyshortcuts": "Enter",
		title: `Track ${TRACK_CHOICES[choice]} (Enter)`,
		onClick: () => track(workspace, choice)
	}, k$2(Icon, { name: "play" }), k$2("span", null, "Track ", TRACK_CHOICES[choice])), k$2(Menu, {
		name: "How far to track",
		class: "main",
		disabled: busy,
		choices
	}, k$2(Icon, { name: "down" })));
}
function estimate(workspace, choice) {
	const frames = framesToCompute(workspace, choice);
	if (frames === null) return "–";
	const rate = workspace.session.speed.value;
	const shown = `${frames} ${frames === 1 ? "frame" : "frames"}`;
	return rate === null ? shown : `${shown}, ${durationText(frames / rate)}`;
}
var MASKS = /^[^.].*\.(png|json|npy|npz|webp|tiff?|bmp)$/i;
function importMasks({ session, look }, folder) {
	const input = document.createElement("input");
	input.type = "file";
	input.webkitdirectory = folder;
	if (!folder) input.accept = ".png,.json,.npy,.npz,.webp,.tif,.tiff,.bmp";
	input.onchange = () => {
		const files = [...input.files ?? []].filter((file) => MASKS.test(file.name));
		const frame = look.frame.value;
		if (files.length === 0) return session.toasts.error("There is no file with masks.");
		session.edit((revision) => folder ? session.api.importFolder(revision, files) : session.api.importMask(revision, frame, files[0]), (answer) => {
			session.marks.forget(null);
			session.toasts.info(["Imported.", ...answer.report ?? []].join(" "));
		});
	};
	input.click();
}
async function copyCommand({ session }) {
	await session.edits.settled();
	const project = await session.api.project().catch((error) => session.complain(error));
	if (!project) return;
	try {
		await navigator.clipboard.writeText(project.command);
		session.toasts.info(`Copied: ${project.command}`);
	} catch {
		session.toasts.info(project.command);
	}
}
// src/panels/help.tsx
var GROUPS = [
	"Time",
	"Marking",
	"Tracking",
	"Objects",
	"View"
];
var EXTRA = {
	Time: [],
	Marking: [],
	Tracking: [],
	Objects: [["1–9", "Choose an object"]],
	View: [
		["H", "Hide all masks while it is held"],
		["wheel", "Zoom at the pointer; over the timeline, zoom time (Shift: move)"],
		["middle button", "Pan"]
	]
};
var SIGNS = [
	["◆", "the object was marked on this frame"],
	["∅", "the object was marked as absent on this frame; it may come back"],
	["✕", "the object ends here; a later mark begins it again"],
	["⇄", "objects were swapped or merged from here on, with --swap or --merge"],
	["▲", "a frame to look at: the area jumps, the object is lost or unsure"],
	["height", "area of the object (square root); nothing: absent"],
	["line", "confidence, where it is below 0.8"],
	["stripes, dashes", "outdated: marks changed since these masks were computed"]
];
function Help() {
	const { dialog, look } = useWorkspace();
	return k$2(Dialog, {
		title: "Keys and signs",
		onClose: () => {
			dialog.value = null;
		}
	}, k$2("div", { class: "help" }, GROUPS.map((group) => k$2("section", { key: group }, k$2("h3", null, group), k$2(Table, { rows: [...rowsOf(group), ...EXTRA[group]] }))), k$2("section", null, k$2("h3", null, "Timeline and stage"), k$2(Table, { rows: SIGNS })), k$2("label", { class: "check" }, k$2("input", {
		type: "checkbox",
		checked: look.keysOn.value,
		onChange: (event) => {
			look.keysOn.value = event.currentTarget.checked;
		}
	}), "Single-key shortcuts"), k$2("p", { class: "hint" }, "maskcast ", "0.2.0")));
}
function rowsOf(group) {
	return Object.values(COMMANDS).filter((command) => command.group === group).map(({ keys, says }) => [shownKey(keys[0]), says]);
}
function Table({ rows }) {
	return k$2("dl", null, rows.map(([key, says]) => k$2("div", { key }, k$2("dt", null, k$2("kbd", null, key)), k$2("dd", null, says))));
}
// src/panels/objects.tsx
function Objects() {
	const { session } = useWorkspace();
	const project = session.project.value;
	if (project === null) return null;
	return k$2("section", { "aria-labelledby": "objects-title" }, k$2("header", null, k$2("h2", { id: "objects-title" }, "Objects"), k$2(CommandButton, {
		command: "add",
		icon: "plus",
		class: "small"
	}, "Add")), project.objects.length === 0 && k$2("p", { class: "hint" }, "Paint on the frame: the first stroke begins object 1."), k$2("ul", { class: "objects" }, project.objects.map((object) => k$2(ObjectRow, {
		key: object.slot,
		object,
		project
	}))));
}
function ObjectRow({ object, project }) {
	const workspace = useWorkspace();
	const { look } = workspace;
	const renaming = useSignal(false);
	const { slot } = object;
	const chosen = look.slot.value === slot;
	const hidden = look.hidden.value.has(slot);
	const name = titleOf(object);
	const colours = {
		background: object.colour,
		color: readableOn(object.colour)
	};
	const choose = () => {
		look.slot.value = slot;
	};
	return k$2("li", { class: chosen ? "chosen" : "" }, renaming.value ? k$2(NameField, {
		object,
		onDone: () => {
			renaming.value = false;
		}
	}) : k$2("button", {
		type: "button",
		class: "name",
		"aria-pressed": chosen,
		onClick: choose,
		onDblClick: () => {
			renaming.value = true;
		}
	}, k$2("span", {
		class: "number",
		style: colours
	}, object.id), k$2("span", { class: "text" }, object.name)), k$2("button", {
		type: "button",
		class: "quiet",
		"aria-label": hidden ? `Show ${name}` : `Hide ${name}`,
		"aria-pressed": hidden,
		title: hidden ? "Show" : "Hide",
		onClick: () => look.toggleHidden(slot)
	}, k$2(Icon, { name: hidden ? "eyeOff" : "eye" })), k$2("button", {
		type: "button",
		class: "quiet",
		"aria-label": object.locked ? `Unlock ${name}` : `Lock ${name}`,
		"aria-pressed": object.locked,
		title: object.locked ? "Unlock" : "Lock: its pixels stay",
		onClick: () => change(workspace, slot, { locked: !object.locked })
	}, k$2(Icon, { name: object.locked ? "lock" : "lockOpen" })), k$2(Menu, {
		name: `More about ${name}`,
		choices: choicesOf(workspace, project, object, () => {
			renaming.value = true;
		})
	}, k$2(Icon, { name: "more" })));
}
function change({ session }, slot, changes) {
	session.edit((revision) => session.api.changeObject(revision, slot, changes));
}
function NameField({ object, onDone }) {
	const workspace = useWorkspace();
	const finish = (name) => {
		const text = name.trim();
		if (text !== "" && text !== object.name) change(workspace, object.slot, { name: text });
		onDone();
	};
	return k$2("input", {
		class: "name",
		"aria-label": `Name of object ${object.id}`,
		maxLength: 80,
		defaultValue: object.name,
		ref: (element) => element?.focus(),
		onFocus: (event) => event.currentTarget.select(),
		onBlur: (event) => finish(event.currentTarget.value),
		onKeyDown: (event) => {
			if (event.key === "Enter") event.currentTarget.blur();
			if (event.key === "Escape") onDone();
		}
	});
}
function choicesOf(workspace, project, object, rename) {
	const { session, look, pointer } = workspace;
	const { slot } = object;
	const frame = look.frame.value;
	const ends = project.ends.some(([at, other]) => at === frame && other === slot);
	const marked = [...project.prompts[frame] ?? [], ...project.absent[frame] ?? []];
	const withSlot = (run) => () => {
		look.slot.value = slot;
		run(workspace);
	};
	return [
		{
			label: "Rename",
			run: rename
		},
		{
			label: "Colour…",
			run: () => pickColour(workspace, object)
		},
		{
			label: ends ? "Does not end here" : "Ends here",
			hint: "X",
			run: withSlot(toggleEnd)
		},
		{
			label: "Absent on this frame",
			run: withSlot(() => pointer.value?.clearObject())
		},
		{
			label: "Remove its mark on this frame",
			hint: "Del",
			disabled: !marked.includes(slot),
			run: withSlot(removeMark)
		},
		{
			label: "Delete object",
			run: () => void session.edit((revision) => session.api.deleteObject(revision, slot), () => session.marks.forget(null))
		}
	];
}
function pickColour(workspace, object) {
	const input = document.createElement("input");
	input.type = "color";
	input.value = object.colour;
	input.onchange = () => change(workspace, object.slot, { colour: input.value });
	input.click();
}
// src/panels/open.tsx
function OpenDialog({ video, onClose }) {
	const { session } = useWorkspace();
	const all = session.hello.value?.weights ?? [];
	const weights = useSignal((all.find((each) => each.default) ?? all[0])?.name ?? "");
	const start = useSignal("");
	const end = useSignal("");
	const run = useSignal("");
	const busy = useSignal(false);
	const trouble = useSignal("");
	const chosen = all.find((each) => each.name === weights.value);
	const open = async () => {
		busy.value = true;
		trouble.value = "";
		const request = {
			video,
			weights: weights.value
		};
		if (start.value.trim() !== "") request.start = start.value.trim();
		if (end.value.trim() !== "") request.end = end.value.trim();
		if (run.value.trim() !== "") request.run = run.value.trim();
		try {
			await session.open(request);
			onClose();
		} catch (error) {
			trouble.value = error.message;
			const suggestion = error instanceof ApiError ? error.body.suggestion : void 0;
			if (typeof suggestion === "string") run.value = suggestion;
		}
		busy.value = false;
	};
	return k$2(Dialog, {
		title: `Open ${video}`,
		onClose
	}, k$2("form", {
		class: "fields",
		onSubmit: (event) => {
			event.preventDefault();
			open();
		}
	}, k$2("label", null, "Weights", k$2("select", {
		value: weights.value,
		onChange: (event) => {
			weights.value = event.currentTarget.value;
		}
	}, all.map(({ name, method }) => k$2("option", {
		key: name,
		value: name
	}, name, " (", method, ")")))), chosen && k$2("p", { class: "hint" }, chosen.summary, ".", chosen.licence !== "" && ` Licence of the weights: ${chosen.licence}.`), k$2(Field, {
		label: "Start at frame or time",
		value: start,
		placeholder: "0"
	}), k$2(Field, {
		label: "Stop before",
		value: end,
		placeholder: "the end"
	}), k$2(Field, {
		label: "Run folder",
		value: run,
		placeholder: "maskcast-runs/…"
	}), trouble.value !== "" && k$2("p", {
		role: "alert",
		class: "trouble"
	}, trouble.value), k$2("div", { class: "buttons" }, k$2("button", {
		type: "submit",
		class: "main",
		disabled: busy.value
	}, busy.value ? "Opening…" : "Open"))));
}
function Field({ label, value, placeholder }) {
	return k$2("label", null, label, k$2("input", {
		type: "text",
		value: value.value,
		placeholder,
		onInput: (event) => {
			value.value = event.currentTarget.value;
		}
	}));
}
// src/panels/upload.tsx
function Upload({ onDone }) {
	const { session } = useWorkspace();
	const sending = useSignal(null);
	const over = useSignal(false);
	const input = T$1(null);
	const trouble = useSignal("");
	const send = async (file) => {
		if (file === void 0 || sending.value !== null) return;
		const controller = new AbortController();
		sending.value = {
			name: file.name,
			size: file.size,
			sent: 0,
			controller
		};
		trouble.value = "";
		const progress = (sent) => {
			if (sending.value !== null) sending.value = {
				...sending.value,
				sent
			};
		};
		try {
			onDone(await session.api.upload(file, progress, controller.signal));
		} catch (error) {
			if (!controller.signal.aborted) trouble.value = error.message;
		}
		sending.value = null;
	};
	return k$2("section", {
		"aria-labelledby": "upload-title",
		class: `drop ${over.value ? "over" : ""}`,
		onDragOver: (event) => {
			event.preventDefault();
			over.value = true;
		},
		onDragLeave: () => {
			over.value = false;
		},
		onDrop: (event) => {
			event.preventDefault();
			over.value = false;
			send(event.dataTransfer?.files[0]);
		}
	}, k$2("h2", { id: "upload-title" }, "Drop a video here"), k$2("p", { class: "hint" }, "It is copied to ", session.hello.value?.root, "/uploads."), k$2("input", {
		ref: input,
		type: "file",
		"aria-label": "Video to upload",
		class: "only-read",
		tabIndex: -1,
		onChange: (event) => void send(event.currentTarget.files?.[0])
	}), k$2("button", {
		type: "button",
		disabled: sending.value !== null,
		onClick: () => input.current?.click()
	}, "Choose a file…"), sending.value !== null && k$2("div", {
		role: "status",
		class: "sending"
	}, k$2("p", null, sending.value.name, ": ", bytesText(sending.value.sent), " of ", bytesText(sending.value.size)), k$2("progress", {
		"aria-label": "Upload",
		value: sending.value.sent,
		max: Math.max(1, sending.value.size)
	}), k$2("button", {
		type: "button",
		onClick: () => sending.value?.controller.abort()
	}, "Cancel")), trouble.value !== "" && k$2("p", {
		role: "alert",
		class: "trouble"
	}, trouble.value));
}
// src/panels/start.tsx
function Start() {
	const { session } = useWorkspace();
	const chosen = useSignal(null);
	const opening = useSignal("");
	if (session.hello.value === null) return null;
	const open = async (request) => {
		opening.value = request.run ?? request.video ?? "";
		try {
			await session.open(request);
		} catch (error) {
			session.complain(error);
		}
		opening.value = "";
	};
	return k$2("main", { class: "start" }, k$2("h1", null, "maskcast"), k$2("p", { class: "hint" }, "Open a video, mark objects on any frame, track them, correct, export."), opening.value !== "" && k$2("p", { role: "status" }, "Opening ", opening.value, "…"), k$2("div", { class: "columns" }, k$2(FolderColumn, {
		chosen,
		open
	}), k$2(RecentColumn, { open }), k$2(Upload, { onDone: (path) => {
		chosen.value = path;
	} })), chosen.value !== null && k$2(OpenDialog, {
		video: chosen.value,
		onClose: () => {
			chosen.value = null;
		}
	}));
}
function FolderColumn({ chosen, open }) {
	const { session } = useWorkspace();
	const path = useSignal("");
	const folder = useSignal(null);
	A$1(() => {
		session.api.folder(path.value).then((found) => {
			folder.value = found;
		}).catch((error) => session.complain(error));
	}, [
		session,
		folder,
		path.value
	]);
	const choose = (entry) => {
		if (entry.kind === "folder") path.value = entry.path;
		else if (entry.kind === "run") open({ run: entry.path });
		else chosen.value = entry.path;
	};
	const { value } = folder;
	return k$2("section", { "aria-labelledby": "folder-title" }, k$2("h2", { id: "folder-title" }, "Folder"), k$2("p", { class: "path" }, session.hello.value?.root, value?.path ? `/${value.path}` : ""), k$2("ul", { class: "entries" }, value?.parent != null && k$2("li", null, k$2("button", {
		type: "button",
		class: "name",
		onClick: () => {
			path.value = value.parent ?? "";
		}
	}, k$2(Icon, { name: "up" }), k$2("span", { class: "text" }, "up"))), value?.entries.map((entry) => k$2("li", { key: entry.path }, k$2("button", {
		type: "button",
		class: "name",
		onClick: () => choose(entry)
	}, k$2(Icon, { name: entry.kind === "folder" ? "folder" : "film" }), k$2("span", { class: "text" }, entry.name), k$2("span", { class: "hint" }, noteOf(entry)))))), value !== null && value.entries.length === 0 && k$2("p", { class: "hint" }, "No videos here."));
}
function noteOf(entry) {
	if (entry.kind === "run") return "run";
	if (entry.kind === "frames") return "frames";
	return entry.bytes === null || entry.kind === "folder" ? "" : bytesText(entry.bytes);
}
function RecentColumn({ open }) {
	const { session } = useWorkspace();
	const runs = useSignal(null);
	A$1(() => {
		session.api.recent().then((found) => {
			runs.value = found.runs;
		}).catch((error) => session.complain(error));
	}, [session, runs]);
	return k$2("section", { "aria-labelledby": "recent-title" }, k$2("h2", { id: "recent-title" }, "Recent"), runs.value?.length === 0 && k$2("p", { class: "hint" }, "No runs yet."), k$2("ul", { class: "entries recent" }, runs.value?.map((run) => k$2(RecentEntry, {
		key: run.path,
		run,
		open
	}))));
}
function RecentEntry({ run, open }) {
	const date = new Date(run.modified * 1e3).toLocaleDateString();
	return k$2("li", null, k$2("button", {
		type: "button",
		class: "name",
		disabled: run.lost,
		onClick: () => void open({ run: run.path })
	}, run.lost ? k$2("span", { class: "thumbnail" }) : k$2(Thumbnail, { path: run.path }), k$2("span", { class: "text" }, run.path, k$2("span", { class: "hint" }, run.total === null ? "" : `${run.done} of ${run.total} frames · `, statusOf(run), " · ", date), run.lost && k$2("span", { class: "hint trouble" }, "Its video ", run.video, " is no longer there: put it back to open this run."))));
}
function statusOf({ done, status }) {
	if (status === "finished") return status;
	return done === 0 ? "not tracked yet" : "unfinished";
}
function Thumbnail({ path }) {
	const { session } = useWorkspace();
	const address = useSignal("");
	A$1(() => {
		session.api.thumbnail(path).then((blob) => {
			address.value = URL.createObjectURL(blob);
		}).catch(() => void 0);
		return () => URL.revokeObjectURL(address.peek());
	}, [
		session,
		address,
		path
	]);
	return address.value === "" ? k$2("span", { class: "thumbnail" }) : k$2("img", {
		src: address.value,
		alt: ""
	});
}
// src/panels/toasts.tsx
function Messages() {
	const { session } = useWorkspace();
	const { toasts } = session;
	const shown = toasts.shown.value;
	return k$2($, null, k$2("div", {
		class: "toasts",
		role: "log",
		"aria-label": "Messages"
	}, shown.map((toast) => k$2("div", {
		key: toast.key,
		class: `toast ${toast.level}`,
		role: roleOf(toast.level)
	}, k$2("span", null, toast.text), toast.action && k$2("button", {
		type: "button",
		class: "small",
		onClick: () => {
			toast.action?.run();
			toasts.close(toast.key);
		}
	}, toast.action.label), k$2("button", {
		type: "button",
		class: "quiet",
		"aria-label": "Close this message",
		onClick: () => toasts.close(toast.key)
	}, k$2(Icon, { name: "close" }))))), k$2("p", {
		class: "only-read",
		"aria-live": "polite"
	}, toasts.announced.value));
}
function roleOf(level) {
	return level === "error" ? "alert" : "status";
}
function TroubleBar() {
	const { session } = useWorkspace();
	const run = session.project.value?.run;
	if (!session.reachable.value) return k$2("p", {
		class: "trouble-bar",
		role: "alert"
	}, "The server has stopped; nothing is lost. Start ", k$2("code", null, run === void 0 ? "maskcast app" : `maskcast app ${run}`), " again.");
	if (session.edits.state.value === "disk full") return k$2("p", {
		class: "trouble-bar",
		role: "alert"
	}, "Not saved: the disk is full. Make room; your strokes are kept here and sent again.");
	return null;
}
// src/panels/number_field.tsx
function NumberField({ label, min, max, value, onChange }) {
	const input = T$1(null);
	const text = String(value);
	A$1(() => {
		if (input.current !== null) input.current.value = text;
	}, [text]);
	return k$2("input", {
		ref: input,
		type: "number",
		"aria-label": label,
		min,
		max,
		defaultValue: text,
		onChange: (event) => {
			event.currentTarget.value = String(onChange(Number(event.currentTarget.value)));
		}
	});
}
// src/panels/tools.tsx
var TOOLS = [
	"move",
	"brush",
	"eraser",
	"polygon",
	"box"
];
var NAMES = {
	move: "Move",
	brush: "Brush",
	eraser: "Eraser",
	polygon: "Polygon",
	box: "Box"
};
function Tools() {
	const { look } = useWorkspace();
	return k$2("section", {
		class: "tools",
		"aria-label": "Tools"
	}, TOOLS.map((tool) => k$2(CommandButton, {
		key: tool,
		command: tool,
		icon: tool,
		name: NAMES[tool],
		pressed: look.tool.value === tool
	}, k$2("kbd", null, COMMANDS[tool].keys[0]))));
}
function ToolLine() {
	const { look, session } = useWorkspace();
	const project = session.project.value;
	if (project === null) return null;
	const object = objectOf(project, look.slot.value);
	const name = object === null ? "a new object" : titleOf(object);
	return k$2("div", { class: "tool-line" }, k$2(ToolOptions, {
		tool: look.tool.value,
		name
	}), session.boxesPending.value > 0 && k$2("span", { role: "status" }, "finding the mask in the box…"));
}
function ToolOptions({ tool, name }) {
	switch (tool) {
		case "move": return k$2("span", null, "Move · drag to pan, click an object to choose it, wheel to zoom");
		case "brush": return k$2($, null, k$2(BrushSize, null), k$2("span", null, "paints ", name, " · Alt erases"));
		case "eraser": return k$2($, null, k$2(BrushSize, null), k$2("span", null, "takes pixels from ", name, " alone"));
		case "polygon": return k$2(PolygonOptions, { name });
		case "box": return k$2(BoxFields, { name });
	}
}
function BrushSize() {
	const { look } = useWorkspace();
	return k$2("label", { class: "size" }, NAMES[look.tool.value], k$2("input", {
		type: "range",
		"aria-label": "Brush size",
		min: 0,
		max: 100,
		value: 100 * (Math.log(look.brush.value) / Math.log(400)),
		onInput: (event) => {
			look.setBrush(400 ** (Number(event.currentTarget.value) / 100));
		}
	}), k$2(NumberField, {
		label: "Brush size in pixels",
		min: 1,
		max: 400,
		value: look.brush.value,
		onChange: (typed) => {
			look.setBrush(typed);
			return look.brush.value;
		}
	}), "px");
}
function PolygonOptions({ name }) {
	const { pointer } = useWorkspace();
	const draft = pointer.value?.draft.value ?? null;
	const points = draft?.kind === "polygon" ? draft.points.length : 0;
	return k$2($, null, k$2("span", null, "Polygon of ", name, " · ", points, " ", points === 1 ? "point" : "points"), k$2("button", {
		type: "button",
		class: "small",
		onClick: () => pointer.value?.addCornerByKey()
	}, "Add point"), k$2("button", {
		type: "button",
		class: "small",
		disabled: points < 3,
		onClick: () => pointer.value?.closePolygon()
	}, "Close"), k$2("button", {
		type: "button",
		class: "small",
		disabled: points < 3,
		onClick: () => pointer.value?.closePolygon(true)
	}, "Subtract"), k$2("span", { class: "hint" }, "arrow keys move the last point"));
}
var SIDES = [
	"x",
	"y",
	"width",
	"height"
];
function BoxFields({ name }) {
	const { session, pointer } = useWorkspace();
	const video = session.project.value?.video;
	const { value } = pointer;
	if (video === void 0 || value === null) return null;
	return k$2("form", {
		class: "box-fields",
		onSubmit: (event) => {
			event.preventDefault();
			value.makeBox(value.box.value);
		}
	}, k$2("span", null, "Box around ", name), SIDES.map((side) => k$2("span", {
		key: side,
		class: "side"
	}, k$2("span", { "aria-hidden": "true" }, side), k$2(NumberField, {
		label: side,
		min: side === "width" || side === "height" ? 2 : 0,
		max: side === "x" || side === "width" ? video.width : video.height,
		value: value.box.value[side],
		onChange: (typed) => {
			value.box.value = {
				...value.box.value,
				[side]: typed
			};
			return typed;
		}
	}))), k$2("button", {
		type: "submit",
		class: "small"
	}, "Find mask"));
}
// src/panels/transport.tsx
function Transport() {
	const { session, look } = useWorkspace();
	const times = useComputed(() => {
		const video = session.video.value;
		return video === null ? null : timesOf(video);
	});
	const project = session.project.value;
	if (project === null) return null;
	const { first, count } = project.video;
	const frame = look.frame.value;
	const playing = look.playing.value;
	const tint = TINTS[look.tint.value];
	const tintText = tint === 0 ? "outline" : `tint ${Math.round(tint * 100)} %`;
	return k$2("div", { class: "transport" }, k$2(CommandButton, {
		command: "first",
		icon: "first"
	}), k$2(CommandButton, {
		command: "previous",
		icon: "back"
	}), k$2(CommandButton, {
		command: "play",
		icon: playing ? "pause" : "play",
		name: playing ? "Pause" : "Play"
	}), k$2(CommandButton, {
		command: "next",
		icon: "next"
	}), k$2(CommandButton, {
		command: "last",
		icon: "last"
	}), k$2("span", { class: "frame-field" }, k$2("span", { "aria-hidden": "true" }, "frame"), k$2(NumberField, {
		label: "Frame number",
		min: first,
		max: first + count - 1,
		value: frame + first,
		onChange: (typed) => {
			session.goTo(typed - first);
			return look.frame.value + first;
		}
	})), k$2("span", { class: "of" }, "of ", count, " · ", clockText(times.value?.[frame] ?? 0)), k$2(CommandButton, {
		command: "tint",
		class: "small",
		name: `Masks: ${tintText}`
	}, tintText), k$2(CommandButton, {
		command: "fit",
		icon: "fit"
	}), k$2("span", { class: "space" }), k$2(JobLine, null));
}
function JobLine() {
	const { session, look } = useWorkspace();
	const job = session.job.value;
	if (session.external.value !== null) return k$2("span", { class: "job" }, "another program works here: ", session.external.value);
	if (job === null || !isActive(job)) return k$2(IdleLine, { job });
	const share = job.total ? (job.done ?? 0) / job.total : 0;
	return k$2("div", { class: "job" }, k$2("span", { class: "job-text" }, progressText(job)), k$2("progress", {
		"aria-label": "Progress",
		value: share,
		max: 1
	}), k$2("label", { class: "check" }, k$2("input", {
		type: "checkbox",
		checked: look.follow.value,
		onChange: (event) => {
			look.follow.value = event.currentTarget.checked;
		}
	}), "Follow"), k$2("label", {
		class: "check",
		title: "When a mark changes, stop, take it up, and go on"
	}, k$2("input", {
		type: "checkbox",
		checked: look.resumeAfterEdits.value,
		onChange: (event) => {
			look.resumeAfterEdits.value = event.currentTarget.checked;
			session.api.resumeAfterEdits(event.currentTarget.checked).catch((error) => session.complain(error));
		}
	}), "Go on after edits"), k$2("button", {
		type: "button",
		class: "small",
		"aria-keyshortcuts": "Control+.",
		title: "Stop (Ctrl+.)",
		disabled: job.state === "stopping",
		onClick: () => void session.stopJob()
	}, "Stop"));
}
function IdleLine({ job }) {
	const { session } = useWorkspace();
	const project = session.project.value;
	session.results.version.value;
	if (project === null) return null;
	const done = session.results.done;
	const outdated = project.outdated_from;
	const parts = [`masks on ${done} of ${project.video.count} frames`];
	if (outdated !== null) parts.push(`outdated from ${outdated + project.video.first}`);
	if (job?.state === "stopped") parts.push("stopped");
	return k$2("span", { class: "job" }, parts.join(" · "));
}
function progressText(job) {
	if (job.state === "queued") return "waiting";
	if (job.state === "stopping") return "stopping after this frame";
	const parts = [job.pass ?? (job.what === "export" ? "export" : "starting")];
	if (job.total) parts.push(`${job.done ?? 0} of ${job.total}`);
	if (job.rate) parts.push(`${job.rate.toFixed(1)} fps`);
	if (job.left != null) parts.push(`${durationText(job.left)} left`);
	return parts.join(" · ");
}
var SMALLEST_SCALE = .05;
var STAYS = 32;
function fitted(video, stage) {
	const scale = Math.min(stage.width / video.width, stage.height / video.height);
	return {
		scale,
		left: Math.round((stage.width - video.width * scale) / 2),
		top: Math.round((stage.height - video.height * scale) / 2)
	};
}
function toView(view, point) {
	return {
		x: point.x * view.scale + view.left,
		y: point.y * view.scale + view.top
	};
}
function toVideo(view, point) {
	return {
		x: (point.x - view.left) / view.scale,
		y: (point.y - view.top) / view.scale
	};
}
function zoomed(view, point, factor) {
	const scale = Math.min(40, Math.max(SMALLEST_SCALE, view.scale * factor));
	const fixed = toVideo(view, point);
	return {
		scale,
		left: point.x - fixed.x * scale,
		top: point.y - fixed.y * scale
	};
}
function moved(view, by) {
	return {
		...view,
		left: view.left + by.x,
		top: view.top + by.y
	};
}
function inSight(view, video, stage) {
	const within = (at, length, room) => Math.min(room - STAYS, Math.max(STAYS - length * view.scale, at));
	return {
		scale: view.scale,
		left: within(view.left, video.width, stage.width),
		top: within(view.top, video.height, stage.height)
	};
}
function sampled(length, at, pixels, scale) {
	const samples = new Int32Array(length);
	for (let i = 0; i < length; i++) {
		const pixel = Math.floor((i + .5 - at) / scale);
		samples[i] = pixel >= 0 && pixel < pixels ? pixel : -1;
	}
	return samples;
}
function shownAt(view, rect) {
	return {
		left: Math.floor(rect.left * view.scale + view.left),
		top: Math.floor(rect.top * view.scale + view.top),
		right: Math.ceil(rect.right * view.scale + view.left),
		bottom: Math.ceil(rect.bottom * view.scale + view.top)
	};
}
// src/stage/pointer.ts
var NEAR = 4;
var WHEEL = 1.0015;
var PEN_ERASER = 32;
var StagePointer = class {
	draft = y$1(null);
	at = y$1(null);
	box = y$1({
		x: 0,
		y: 0,
		width: 100,
		height: 100
	});
	#stage;
	#session;
	#gesture = null;
	#pointer = -1;
	#lastEnd = null;
	constructor(stage) {
		this.#stage = stage;
		this.#session = stage.session;
	}
	down(event, element) {
		if (this.#gesture !== null) return;
		this.#pointer = event.pointerId;
		element.setPointerCapture(event.pointerId);
		const point = this.#point(event, element);
		const { tool } = this.#session.look;
		if (event.button === 1 || tool.value === "move") return this.#beginPan(event);
		if (tool.value === "brush" || tool.value === "eraser") return this.#beginStroke(event, point);
		if (event.button !== 0) return;
		if (tool.value === "polygon") return this.#addCorner(point, event.shiftKey);
		this.#gesture = { kind: "box" };
		this.draft.value = {
			kind: "box",
			from: point,
			to: point
		};
	}
	move(event, element) {
		const gesture = this.#gesture;
		if (gesture !== null && event.pointerId !== this.#pointer) return;
		if (gesture?.kind === "pan") this.#pan(event, gesture);
		else if (gesture?.kind === "stroke") this.#extendStroke(event, element, gesture);
		const point = this.#point(event, element);
		this.at.value = point;
		if (gesture?.kind === "box" && this.draft.value?.kind === "box") {
			this.draft.value = {
				...this.draft.value,
				to: point
			};
			this.box.value = wholeBox(this.draft.value);
		}
	}
	up(event) {
		if (event.pointerId !== this.#pointer) return;
		const gesture = this.#gesture;
		this.#gesture = null;
		if (gesture?.kind === "stroke") {
			this.#lastEnd = gesture.last;
			this.#stage.commit(gesture.erase ? "eraser" : "brush");
		} else if (gesture?.kind === "box") this.#finishBox();
		else if (gesture?.kind === "pan") this.#click(event, gesture);
	}
	leave() {
		if (this.#gesture === null) this.at.value = null;
	}
	wheel(event, element) {
		const pixels = event.deltaMode === 0 ? event.deltaY : event.deltaY * 30;
		const view = zoomed(this.#stage.view.value, this.#onScreen(event, element), WHEEL ** -pixels);
		this.#session.look.view.value = view;
	}
	zoom(factor) {
		const { width, height } = this.#stage.size.value;
		const middle = {
			x: width / 2,
			y: height / 2
		};
		this.#session.look.view.value = zoomed(this.#stage.view.value, middle, factor);
	}
	#beginPan(event) {
		const point = {
			x: event.clientX,
			y: event.clientY
		};
		this.#gesture = {
			kind: "pan",
			last: point,
			start: point
		};
	}
	#pan(event, gesture) {
		const point = {
			x: event.clientX,
			y: event.clientY
		};
		const ratio = devicePixelRatio;
		const by = {
			x: (point.x - gesture.last.x) * ratio,
			y: (point.y - gesture.last.y) * ratio
		};
		gesture.last = point;
		this.#session.look.view.value = moved(this.#stage.view.value, by);
	}
	#click(event, { start }) {
		const away = Math.hypot(event.clientX - start.x, event.clientY - start.y);
		const at = this.at.value;
		if (event.button !== 0 || away > NEAR || at === null) return;
		const slot = this.#stage.slotAt(at.x, at.y);
		if (slot > 0) this.#session.look.slot.value = slot;
	}
	#beginStroke(event, point) {
		const { look } = this.#session;
		const byButton = event.button === 2 || (event.buttons & PEN_ERASER) !== 0;
		const erase = look.tool.value === "eraser" || event.altKey || byButton;
		if (!this.#begin(erase)) return;
		const radius = look.brush.value / 2;
		const from = event.shiftKey && this.#lastEnd !== null ? this.#lastEnd : point;
		this.#stage.change(this.#stage.editor()?.line(from, point, radius) ?? null);
		this.#gesture = {
			kind: "stroke",
			last: point,
			radius,
			erase
		};
	}
	#begin(erase) {
		const { look, project, toasts } = this.#session;
		const editor = this.#stage.editor();
		if (editor === null) toasts.info("This frame is still being read; draw again in a moment");
		if (editor === null || editor.drawing) return false;
		const slot = look.slot.value ?? addObject(this.#session);
		if (slot === null) return false;
		const objects = project.value?.objects ?? [];
		const chosen = objects.find((object) => object.slot === slot);
		if (chosen?.locked) {
			toasts.info(`${titleOf(chosen)} is locked: unlock it to change it`);
			return false;
		}
		const locked = objects.filter((object) => object.locked).map((object) => object.slot);
		editor.begin({
			slot,
			erase
		}, locked);
		return true;
	}
	#extendStroke(event, element, gesture) {
		const editor = this.#stage.editor();
		if (!editor?.drawing) return;
		const events = event.getCoalescedEvents?.() ?? [];
		for (const each of events.length > 0 ? events : [event]) {
			const point = this.#point(each, element);
			this.#stage.change(editor.line(gesture.last, point, gesture.radius));
			gesture.last = point;
		}
	}
	#addCorner(point, subtract) {
		const { value } = this.draft;
		const points = value?.kind === "polygon" ? value.points : [];
		const last = points.at(-1);
		const near = NEAR / (this.#stage.view.value.scale / devicePixelRatio);
		if (last && Math.hypot(last.x - point.x, last.y - point.y) < near) return;
		const chosen = points.length;
		this.draft.value = {
			kind: "polygon",
			points: [...points, point],
			chosen,
			subtract
		};
	}
	nudgeCorner(by) {
		const { value } = this.draft;
		if (value?.kind !== "polygon") return;
		const points = value.points.map((point, i) => i === value.chosen ? {
			x: point.x + by.x,
			y: point.y + by.y
		} : point);
		this.draft.value = {
			...value,
			points
		};
	}
	addCornerByKey() {
		const { value } = this.draft;
		const { width, height } = this.#stage.size.value;
		const middle = toVideo(this.#stage.view.value, {
			x: width / 2,
			y: height / 2
		});
		const points = value?.kind === "polygon" ? value.points : [];
		const point = points.at(-1) ?? middle;
		const chosen = points.length;
		this.draft.value = {
			kind: "polygon",
			points: [...points, { ...point }],
			chosen,
			subtract: false
		};
	}
	removeCorner() {
		const { value } = this.draft;
		if (value?.kind !== "polygon") return false;
		const points = value.points.slice(0, -1);
		const chosen = points.length - 1;
		this.draft.value = points.length > 0 ? {
			...value,
			points,
			chosen
		} : null;
		return true;
	}
	closePolygon(subtract = false) {
		const { value } = this.draft;
		if (value?.kind !== "polygon") return false;
		const erase = subtract || value.subtract;
		if (value.points.length < 3 || !this.#begin(erase)) return true;
		this.draft.value = null;
		this.#stage.change(this.#stage.editor()?.polygon(value.points) ?? null);
		this.#stage.commit("polygon");
		return true;
	}
	#finishBox() {
		const { value } = this.draft;
		this.draft.value = null;
		if (value?.kind !== "box") return;
		const box = wholeBox(value);
		if (box.width >= 2 && box.height >= 2) this.makeBox(box);
	}
	makeBox({ x, y, width, height }) {
		const video = this.#session.project.value?.video;
		const slot = this.#session.look.slot.value ?? addObject(this.#session);
		if (video === void 0 || slot === null) return;
		const [left, top] = [Math.max(0, x), Math.max(0, y)];
		const [right, bottom] = [Math.min(video.width, x + width), Math.min(video.height, y + height)];
		if (right <= left || bottom <= top) {
			this.#session.toasts.error("The box lies outside of the frame.");
			return;
		}
		this.box.value = {
			x: left,
			y: top,
			width: right - left,
			height: bottom - top
		};
		const frame = this.#session.look.frame.value;
		makeBox(this.#session, frame, slot, [
			left,
			top,
			right - left,
			bottom - top
		]);
	}
	clearObject() {
		if (!this.#begin(true)) return;
		this.#stage.change(this.#stage.editor()?.clear() ?? null);
		this.#stage.commit("absent");
	}
	drop() {
		const drawing = this.draft.value !== null;
		this.draft.value = null;
		this.#gesture = null;
		return this.#stage.drop() || drawing;
	}
	#onScreen(event, element) {
		const { left, top } = element.getBoundingClientRect();
		const ratio = devicePixelRatio;
		return {
			x: (event.clientX - left) * ratio,
			y: (event.clientY - top) * ratio
		};
	}
	#point(event, element) {
		return toVideo(this.#stage.view.value, this.#onScreen(event, element));
	}
};
function wholeBox({ from, to }) {
	const [left, right] = [from.x, to.x].sort((a, b) => a - b).map(Math.round);
	const [top, bottom] = [from.y, to.y].sort((a, b) => a - b).map(Math.round);
	return {
		x: left,
		y: top,
		width: right - left,
		height: bottom - top
	};
}
// src/stage/frame_loader.ts
var PICTURES = 192 * 2 ** 20;
var LABELS = 64 * 2 ** 20;
var SCRUB_WIDTH = 1280;
var AHEAD = 24;
var STILL = 150;
var LOOK_PAUSE = 100;
var FrameLoader = class {
	#session;
	#pictures = new Cache(PICTURES, (picture) => picture.close());
	#labels = new Cache(LABELS);
	#fetcher;
	#frame = 0;
	#direction = 1;
	#still = false;
	#stillTimer = 0;
	#lookTimer = 0;
	#key = "";
	#openings = 0;
	#results = "";
	constructor(session, arrived) {
		this.#session = session;
		this.#fetcher = new Fetcher(arrived, isPermanent);
	}
	stop() {
		clearTimeout(this.#stillTimer);
		this.#fetcher.want([]);
	}
	look(frame, direction) {
		const project = this.#session.project.peek();
		if (project === null) return;
		if (project.key !== this.#key) this.#begin(project.key);
		const openings = this.#session.openings.peek();
		if (openings !== this.#openings) this.#fetcher.forgive();
		this.#openings = openings;
		const results = `${this.#session.results.version.peek()} ${project.outdated_from}`;
		if (results !== this.#results) this.#fetcher.forgive("labels ");
		this.#results = results;
		if (frame !== this.#frame || this.#stillTimer === 0) this.#move();
		this.#frame = frame;
		this.#direction = direction;
		this.#want(project);
	}
	#begin(key) {
		this.#key = key;
		this.#pictures.deleteWhere(() => true);
		this.#labels.deleteWhere(() => true);
	}
	#move() {
		this.#still = false;
		clearTimeout(this.#stillTimer);
		this.#stillTimer = setTimeout(() => {
			this.#still = true;
			const project = this.#session.project.peek();
			if (project !== null) this.#want(project);
		}, STILL);
		if (this.#lookTimer !== 0) return;
		this.#lookTimer = setTimeout(() => {
			this.#lookTimer = 0;
			this.#session.api.look(this.#frame, this.#direction).catch(() => void 0);
		}, LOOK_PAUSE);
	}
	picture(frame) {
		return this.#pictures.get(`${frame} 0`) ?? this.#pictures.get(`${frame} ${SCRUB_WIDTH}`);
	}
	labels(frame) {
		const stamp = this.#session.results.stampOf(frame);
		if (stamp === null) return null;
		const whole = labelsKey(frame, stamp, false);
		if (this.#fetcher.failure(whole) !== void 0) return null;
		const found = this.#labels.get(whole);
		if (found !== void 0) return found;
		const marked = this.#session.project.peek();
		if (marked !== null && markedOn(marked, frame).length > 0) return void 0;
		return this.#labels.get(labelsKey(frame, stamp, true));
	}
	needsMarks(frame) {
		if ((this.#session.project.peek()?.prompts[frame] ?? []).length === 0) return false;
		if (this.#fetcher.failure(`marks ${frame}`) !== void 0) return false;
		return this.#session.marks.of(frame) === void 0;
	}
	failure(frame) {
		return this.#fetcher.failure(`picture ${frame} 0`);
	}
	#want(project) {
		const { video } = project;
		const large = Math.max(video.width, video.height) > SCRUB_WIDTH;
		const halves = video.width > 1920;
		const near = around(this.#frame, this.#direction, video.count, AHEAD);
		const [width, half] = [large ? SCRUB_WIDTH : 0, halves];
		const here = [...this.#wantsOf(this.#frame, project, width, half)];
		if (this.#still) here.push(...this.#wantsOf(this.#frame, project, 0, false));
		const wants = [...here, ...near.flatMap((frame) => this.#wantsOf(frame, project, width, half))];
		this.#fetcher.want(wants);
	}
	#wantsOf(frame, project, width, half) {
		const wants = [];
		if (!this.#pictures.has(`${frame} 0`) && !this.#pictures.has(`${frame} ${width}`)) wants.push(this.#pictureWant(frame, project.key, width));
		const stamp = this.#session.results.stampOf(frame);
		const whole = !half || markedOn(project, frame).length > 0;
		if (stamp !== null && !this.#labels.has(labelsKey(frame, stamp, !whole))) wants.push(this.#labelsWant(frame, project.key, stamp, !whole));
		if (this.needsMarks(frame)) wants.push(this.#marksWant(frame, project.video));
		return wants;
	}
	#pictureWant(frame, key, width) {
		return {
			key: `picture ${frame} ${width}`,
			load: async (signal) => {
				const blob = await this.#session.api.picture(key, frame, width, signal);
				const picture = await createImageBitmap(blob);
				if (signal.aborted) return picture.close();
				this.#pictures.set(`${frame} ${width}`, picture, 4 * picture.width * picture.height);
			}
		};
	}
	#labelsWant(frame, key, stamp, half) {
		const name = labelsKey(frame, stamp, half);
		return {
			key: name,
			load: async (signal) => {
				const labels = await this.#session.api.labels({
					key,
					frame,
					stamp,
					half
				}, signal);
				this.#labels.set(name, labels, labels?.data.length ?? 1);
			}
		};
	}
	#marksWant(frame, { width, height }) {
		return {
			key: `marks ${frame}`,
			load: async (signal) => {
				await this.#session.edits.settled();
				const marks = await this.#session.api.marks(frame, signal);
				const fits = marks === null || marks.width === width && marks.height === height;
				this.#session.marks.put(frame, fits ? marks : null);
			}
		};
	}
};
function labelsKey(frame, stamp, half) {
	return `labels ${frame} ${stamp} ${half ? "half" : "whole"}`;
}
function isPermanent(error) {
	return !(error instanceof ApiError) || !error.unreachable && ![409, 503].includes(error.status);
}
// src/stage/geometry.ts
function isEmpty(rect) {
	return rect.right <= rect.left || rect.bottom <= rect.top;
}
function union(a, b) {
	if (a === null || isEmpty(a)) return b;
	if (b === null || isEmpty(b)) return a;
	return {
		left: Math.min(a.left, b.left),
		top: Math.min(a.top, b.top),
		right: Math.max(a.right, b.right),
		bottom: Math.max(a.bottom, b.bottom)
	};
}
function clip(rect, size) {
	return {
		left: Math.max(0, rect.left),
		top: Math.max(0, rect.top),
		right: Math.min(size.width, rect.right),
		bottom: Math.min(size.height, rect.bottom)
	};
}
function grown(rect, by) {
	return {
		left: rect.left - by,
		top: rect.top - by,
		right: rect.right + by,
		bottom: rect.bottom + by
	};
}
function whole(size) {
	return {
		left: 0,
		top: 0,
		right: size.width,
		bottom: size.height
	};
}
// src/stage/capsule.ts
function inCapsule(x, y, a, b, radius) {
	const [dx, dy] = [b.x - a.x, b.y - a.y];
	const [px, py] = [x + .5 - a.x, y + .5 - a.y];
	const length = dx * dx + dy * dy;
	const along = length === 0 ? 0 : Math.min(1, Math.max(0, (px * dx + py * dy) / length));
	const [ex, ey] = [px - along * dx, py - along * dy];
	return ex * ex + ey * ey <= radius * radius;
}
function rasterCapsule(a, b, radius, size, span) {
	const rect = clip({
		left: Math.floor(Math.min(a.x, b.x) - radius),
		top: Math.floor(Math.min(a.y, b.y) - radius),
		right: Math.ceil(Math.max(a.x, b.x) + radius) + 1,
		bottom: Math.ceil(Math.max(a.y, b.y) + radius) + 1
	}, size);
	for (let y = rect.top; y < rect.bottom; y++) rasterRow(y, a, b, radius, rect, span);
	return rect;
}
function rasterRow(y, a, b, radius, rect, span) {
	const middle = nearestOnRow(y + .5, a, b);
	let from = Math.min(rect.right - 1, Math.max(rect.left, Math.floor(middle)));
	const start = [
		from,
		from - 1,
		from + 1
	].find((x) => inCapsule(x, y, a, b, radius));
	if (start === void 0) return;
	from = edge$1(start, -1, (x) => inCapsule(x, y, a, b, radius));
	const to = edge$1(start, 1, (x) => inCapsule(x, y, a, b, radius)) + 1;
	const [left, right] = [Math.max(rect.left, from), Math.min(rect.right, to)];
	if (left < right) span(y, left, right);
}
function edge$1(start, direction, inside) {
	let step = 1;
	let last = start;
	while (inside(last + direction * step)) {
		last += direction * step;
		step *= 2;
	}
	for (; step >= 1; step = Math.floor(step / 2)) if (inside(last + direction * step)) last += direction * step;
	return last;
}
function nearestOnRow(y, a, b) {
	if (a.y === b.y) return Math.abs(a.x - b.x) > 0 ? (a.x + b.x) / 2 : a.x;
	const along = Math.min(1, Math.max(0, (y - a.y) / (b.y - a.y)));
	return a.x + along * (b.x - a.x);
}
// src/stage/polygon.ts
function rasterPolygon(points, size, span) {
	const rect = boundsOf(points, size);
	for (let y = rect.top; y < rect.bottom; y++) {
		const crossings = crossingsOf(points, y + .5);
		for (let i = 0; i + 1 < crossings.length; i += 2) {
			const from = Math.max(rect.left, Math.ceil(crossings[i] - .5));
			const to = Math.min(rect.right, Math.ceil(crossings[i + 1] - .5));
			if (from < to) span(y, from, to);
		}
	}
	return rect;
}
function boundsOf(points, size) {
	if (points.length < 3) return {
		left: 0,
		top: 0,
		right: 0,
		bottom: 0
	};
	const xs = points.map((point) => point.x);
	const ys = points.map((point) => point.y);
	return clip({
		left: Math.floor(Math.min(...xs)),
		top: Math.floor(Math.min(...ys)),
		right: Math.ceil(Math.max(...xs)) + 1,
		bottom: Math.ceil(Math.max(...ys)) + 1
	}, size);
}
function crossingsOf(points, y) {
	const crossings = [];
	for (let i = 0; i < points.length; i++) {
		const a = points[i];
		const b = points[(i + 1) % points.length];
		if (a.y > y !== b.y > y) crossings.push(a.x + (y - a.y) / (b.y - a.y) * (b.x - a.x));
	}
	return crossings.sort((p, q) => p - q);
}
// src/stage/mask_editor.ts
var MaskEditor = class {
	width;
	height;
	labels;
	#before;
	#kept = new Uint8Array(256);
	#brush = null;
	#touched = null;
	#painted = false;
	constructor(width, height, labels) {
		this.width = width;
		this.height = height;
		this.labels = labels;
		this.#before = new Uint8Array(labels.length);
	}
	get drawing() {
		return this.#brush !== null;
	}
	begin(brush, locked) {
		this.#kept.fill(brush.erase ? 1 : 0);
		this.#kept[brush.slot] = 0;
		for (const slot of locked) this.#kept[slot] = 1;
		this.#brush = brush;
		this.#touched = null;
		this.#painted = false;
		this.#before.set(this.labels);
	}
	line(from, to, radius) {
		return this.#paint((span) => rasterCapsule(from, to, radius, this, span));
	}
	polygon(points) {
		return this.#paint((span) => rasterPolygon(points, this, span));
	}
	clear() {
		this.#painted = true;
		return this.#paint((span) => {
			for (let y = 0; y < this.height; y++) span(y, 0, this.width);
			return {
				left: 0,
				top: 0,
				right: this.width,
				bottom: this.height
			};
		});
	}
	#paint(raster) {
		if (this.#brush === null) throw new Error("no stroke has begun");
		const value = this.#brush.erase ? 0 : this.#brush.slot;
		const rect = raster((y, from, to) => {
			const row = y * this.width;
			for (let i = row + from; i < row + to; i++) {
				if (this.#kept[this.labels[i]] === 1) continue;
				this.labels[i] = value;
				this.#painted ||= value > 0;
			}
		});
		this.#touched = union(this.#touched, rect);
		return rect;
	}
	finish() {
		const changed = this.#changed();
		this.#brush = null;
		this.#touched = null;
		return {
			changed,
			painted: this.#painted
		};
	}
	#changed() {
		const touched = this.#touched;
		if (touched === null || isEmpty(touched)) return [];
		const changed = new Uint8Array(256);
		for (let y = touched.top; y < touched.bottom; y++) for (let i = y * this.width + touched.left; i < y * this.width + touched.right; i++) if (this.labels[i] !== this.#before[i]) {
			changed[this.labels[i]] = 1;
			changed[this.#before[i]] = 1;
		}
		return [...changed.keys()].filter((slot) => slot > 0 && changed[slot] === 1);
	}
	drop() {
		const touched = this.#touched;
		this.#brush = null;
		this.#touched = null;
		if (touched !== null) this.labels.set(this.#before);
		return touched;
	}
	at(point) {
		const [x, y] = [Math.floor(point.x), Math.floor(point.y)];
		if (x < 0 || y < 0 || x >= this.width || y >= this.height) return 0;
		return this.labels[y * this.width + x];
	}
	areas() {
		const areas = new Uint32Array(256);
		for (const slot of this.labels) areas[slot]++;
		return areas;
	}
};
var DARK = 3019898880;
var HATCH$1 = 8;
function sampleLabels(labels, grid, shown, out, rect) {
	const { columns, rows } = grid;
	const { data, width } = labels;
	for (let y = rect.top; y < rect.bottom; y++) {
		const to = y * columns.length;
		const from = rows[y] * width;
		if (from < 0) {
			out.fill(0, to + rect.left, to + rect.right);
			continue;
		}
		for (let x = rect.left; x < rect.right; x++) {
			const column = columns[x];
			out[to + x] = column < 0 ? 0 : shown[data[from + column]];
		}
	}
}
function colour(slots, size, style, out, rect) {
	const reached = clip(grown(rect, 2), size);
	fillInside(slots, size, style, out, reached);
	const paintEdge = (x, y) => {
		if (x < reached.left || x >= reached.right || y < reached.top || y >= reached.bottom) return;
		out[y * size.width + x] = edge(slots, x, y, size, style);
	};
	const { left, top, right, bottom } = clip(grown(reached, 2), size);
	for (let y = top; y < bottom; y++) {
		const below = y + 1 < bottom ? size.width : 0;
		let i = y * size.width + left;
		for (let x = left; x < right; x++, i++) {
			const slot = slots[i];
			if (slots[i + below] !== slot) for (let d = -1; d <= 2; d++) paintEdge(x, y + d);
			if (x + 1 < right && slots[i + 1] !== slot) for (let d = -1; d <= 2; d++) paintEdge(x + d, y);
		}
	}
	return reached;
}
function fillInside(slots, size, style, out, { left, top, right, bottom }) {
	const { fill, hatching } = style;
	for (let y = top; y < bottom; y++) {
		let i = y * size.width + left;
		for (let x = left; x < right; x++, i++) {
			const slot = slots[i];
			out[i] = hatching[slot] === 0 ? fill[slot] : hatched(slot, x, y, style);
		}
	}
}
function hatched(slot, x, y, style) {
	const crossed = style.hatching[slot] === 2;
	return (x + y) % HATCH$1 < 2 || crossed && (x - y + offset(y)) % HATCH$1 < 2 ? style.contour[slot] : style.fill[slot];
}
function offset(y) {
	return Math.ceil(y / HATCH$1) * HATCH$1;
}
function edge(slots, x, y, size, style) {
	const slot = slots[y * size.width + x];
	if (style.dashed && (x + y >> 2) % 2 === 1) return style.fill[slot];
	if (slot !== 0) return style.contour[slot];
	return touchesMask(slots, x, y, size) ? DARK : 0;
}
function touchesMask(slots, x, y, size) {
	const i = y * size.width + x;
	return x > 0 && slots[i - 1] !== 0 || x + 1 < size.width && slots[i + 1] !== 0 || y > 0 && slots[i - size.width] !== 0 || y + 1 < size.height && slots[i + size.width] !== 0;
}
var COARSE = 3;
var SMALL = 900;
function centresOf(slots, size) {
	const sums = new Float64Array(768);
	for (let y = 0; y < size.height; y += COARSE) for (let x = 0; x < size.width; x += COARSE) {
		const at = 3 * slots[y * size.width + x];
		sums[at] += 1;
		sums[at + 1] += x;
		sums[at + 2] += y;
	}
	const centres = [];
	for (let slot = 1; slot < 256; slot++) {
		const [count, x, y] = sums.subarray(3 * slot, 3 * slot + 3);
		if (count === 0) continue;
		const small = count * COARSE ** 2 < SMALL;
		const middle = {
			x: Math.round(x / count),
			y: Math.round(y / count)
		};
		centres.push({
			slot,
			...onMask(slots, size, slot, middle),
			small
		});
	}
	return centres;
}
function onMask(slots, size, slot, { x, y }) {
	for (let away = 0; away < size.width; away++) for (const other of [x - away, x + away]) if (other >= 0 && other < size.width && slots[y * size.width + other] === slot) return {
		x: other,
		y
	};
	return {
		x,
		y
	};
}
// src/stage/painter.ts
var Painter = class {
	counts = {
		full: 0,
		partial: 0,
		picture: 0
	};
	#picture;
	#masks;
	#size = {
		width: 0,
		height: 0
	};
	#view = {
		scale: 1,
		left: 0,
		top: 0
	};
	#image = new ImageData(1, 1);
	#colours = new Uint32Array(1);
	#slots = new Uint8Array(1);
	#grid = {
		columns: new Int32Array(0),
		rows: new Int32Array(0)
	};
	#gridOf = "";
	constructor(picture, masks) {
		this.#picture = contextOf(picture);
		this.#masks = contextOf(masks);
	}
	place(size, view) {
		this.#view = view;
		this.#gridOf = "";
		if (size.width === this.#size.width && size.height === this.#size.height) return;
		this.#size = size;
		for (const { canvas } of [this.#picture, this.#masks]) Object.assign(canvas, size);
		this.#image = new ImageData(size.width, size.height);
		this.#colours = new Uint32Array(this.#image.data.buffer);
		this.#slots = new Uint8Array(size.width * size.height);
	}
	showPicture(picture, video) {
		const context = this.#picture;
		this.counts.picture++;
		context.clearRect(0, 0, this.#size.width, this.#size.height);
		if (picture === null || picture.width === 0) return;
		const { scale, left, top } = this.#view;
		context.imageSmoothingEnabled = scale < 3;
		context.imageSmoothingQuality = "medium";
		context.drawImage(picture, left, top, video.width * scale, video.height * scale);
	}
	clearMasks() {
		this.#slots.fill(0);
		this.#masks.clearRect(0, 0, this.#size.width, this.#size.height);
	}
	showMasks(labels, style, video) {
		if (this.#slots.length === 0) return;
		this.counts.full++;
		this.#prepareGrid(labels, video);
		this.#repaint(labels, style, whole(this.#size));
	}
	showChange(labels, style, video, changed) {
		this.counts.partial++;
		this.#prepareGrid(labels, video);
		const rect = clip(grown(shownAt(this.#view, changed), 1), this.#size);
		if (!isEmpty(rect)) this.#repaint(labels, style, rect);
	}
	centres() {
		return centresOf(this.#slots, this.#size);
	}
	#prepareGrid(labels, video) {
		const made = `${labels.width}×${labels.height}`;
		if (this.#gridOf === made) return;
		this.#gridOf = made;
		const { scale, left, top } = this.#view;
		const [across, down] = [video.width / labels.width, video.height / labels.height];
		this.#grid = {
			columns: sampled(this.#size.width, left, labels.width, scale * across),
			rows: sampled(this.#size.height, top, labels.height, scale * down)
		};
	}
	#repaint(labels, style, rect) {
		sampleLabels(labels, this.#grid, style.shown, this.#slots, rect);
		const done = colour(this.#slots, this.#size, style, this.#colours, rect);
		const [width, height] = [done.right - done.left, done.bottom - done.top];
		this.#masks.putImageData(this.#image, 0, 0, done.left, done.top, width, height);
	}
};
function contextOf(canvas) {
	const context = canvas.getContext("2d");
	if (context === null) throw new Error("this browser has no 2D canvas");
	return context;
}
// src/stage/stage.ts
var RECENT = 8;
var Stage = class {
	session;
	size = y$1({
		width: 1,
		height: 1
	});
	frame = y$1(null);
	trouble = y$1(null);
	numbers = y$1([]);
	painted = y$1(0);
	view;
	#painter;
	#loader;
	#style;
	#stops;
	#shown = null;
	#editor = null;
	#recent = [];
	#dirty = null;
	#frameRequest = 0;
	#fullRepaint = false;
	constructor(session, picture, masks) {
		this.session = session;
		this.#painter = new Painter(picture, masks);
		this.#loader = new FrameLoader(session, () => this.#present());
		this.view = O(() => {
			const video = session.video.value ?? {
				width: 1,
				height: 1
			};
			const chosen = session.look.view.value;
			const size = this.size.value;
			return chosen === null ? fitted(video, size) : inSight(chosen, video, size);
		});
		const chosen = O(() => this.#lookNow());
		this.#style = O(() => styleOf(chosen.value));
		this.#stops = [
			x$1(() => this.#follow()),
			x$1(() => this.#place()),
			x$1(() => this.#restyle())
		];
	}
	get counts() {
		return this.#painter.counts;
	}
	stop() {
		for (const stop of this.#stops) stop();
		cancelAnimationFrame(this.#frameRequest);
		this.#loader.stop();
	}
	#lookNow() {
		const { look, project } = this.session;
		const objects = project.value?.objects ?? [];
		const outdated = project.value?.outdated_from ?? null;
		const frame = this.frame.value;
		return JSON.stringify({
			objects: objects.map(({ slot, colour }) => ({
				slot,
				colour
			})),
			tint: TINTS[look.tint.value],
			hidden: look.masksHidden.value ? objects.map((object) => object.slot) : [...look.hidden.value].sort(),
			dashed: outdated !== null && frame !== null && frame >= outdated
		});
	}
	#follow() {
		const { look, project, results, marks } = this.session;
		const frame = look.frame.value;
		results.version.value;
		marks.version.value;
		if (project.value === null) return;
		this.#recent = [frame, ...this.#recent.filter((other) => other !== frame)].slice(0, RECENT);
		this.#loader.look(frame, look.direction.value);
		this.#present();
	}
	#place() {
		this.#painter.place(this.size.value, this.view.value);
		this.#repaintAll();
	}
	#restyle() {
		this.#style.value;
		this.#fullRepaint = true;
		this.#request();
	}
	#present() {
		if (this.#editor?.drawing) return;
		const wanted = this.session.look.frame.peek();
		const failure = this.#loader.failure(wanted);
		this.trouble.value = failure ?? null;
		if (failure !== void 0) return this.#show({
			...EMPTY,
			frame: wanted
		});
		for (const frame of this.#recent) {
			if (frame === this.#shown?.frame && frame !== wanted) return;
			const best = this.#best(frame);
			if (best !== null) return this.#show(best);
		}
	}
	#best(frame) {
		const project = this.session.project.peek();
		const picture = this.#loader.picture(frame);
		const found = this.#loader.labels(frame);
		const marks = this.session.marks.of(frame) ?? null;
		if (project === null || picture === void 0 || found === void 0) return null;
		if (this.#loader.needsMarks(frame)) return null;
		return {
			frame,
			picture,
			found,
			marks,
			marked: markedOn(project, frame).join(),
			labels: null
		};
	}
	#show(next) {
		const before = this.#shown;
		const samePicture = before?.picture === next.picture && before.frame === next.frame;
		const same = sameMasks(next, before);
		if (samePicture && same) return;
		const labels = same ? before?.labels ?? null : this.#composed(next);
		this.#shown = {
			...next,
			labels
		};
		if (!same) this.#editor = null;
		this.frame.value = next.frame;
		if (!samePicture) this.#painter.showPicture(next.picture, this.#video);
		if (!same) this.#repaintMasks();
	}
	#composed({ found, marks, marked }) {
		if (marked === "") return found;
		const { width, height } = this.#video;
		const slots = marked.split(",").map(Number);
		return {
			width,
			height,
			data: compose(found?.data ?? null, marks?.data ?? null, slots, width * height)
		};
	}
	get #video() {
		return this.session.project.peek()?.video ?? {
			width: 1,
			height: 1
		};
	}
	#repaintAll() {
		const shown = this.#shown;
		const picture = shown === null ? void 0 : this.#loader.picture(shown.frame);
		this.#painter.showPicture(picture ?? shown?.picture ?? null, this.#video);
		this.#repaintMasks();
	}
	#repaintMasks() {
		const labels = this.#shown?.labels ?? null;
		this.#fullRepaint = false;
		this.#dirty = null;
		if (labels === null) this.#painter.clearMasks();
		else this.#painter.showMasks(labels, this.#style.peek(), this.#video);
		this.numbers.value = this.#painter.centres();
		this.painted.value = this.painted.peek() + 1;
	}
	#request() {
		if (this.#frameRequest === 0) this.#frameRequest = requestAnimationFrame(() => this.#paintFrame());
	}
	#paintFrame() {
		this.#frameRequest = 0;
		const labels = this.#shown?.labels ?? null;
		if (this.#fullRepaint) return this.#repaintMasks();
		if (this.#dirty === null || labels === null) return;
		this.#painter.showChange(labels, this.#style.peek(), this.#video, this.#dirty);
		this.#dirty = null;
		if (!this.#editor?.drawing) this.numbers.value = this.#painter.centres();
	}
	change(rect) {
		this.#dirty = union(this.#dirty, rect);
		this.#request();
	}
	get current() {
		const best = this.#best(this.session.look.frame.peek());
		return best !== null && !this.#editor?.drawing && sameMasks(best, this.#shown);
	}
	editor() {
		const shown = this.#shown;
		const { look, reachable } = this.session;
		if (shown?.picture == null || shown.frame !== look.frame.peek() || !reachable.peek()) return null;
		if (!this.#editor?.drawing && this.#loader.needsMarks(shown.frame)) return null;
		const { width, height } = this.#video;
		if (shown.labels !== null && shown.labels.width !== width) return null;
		if (this.#editor === null) {
			const data = shown.labels?.data.slice() ?? new Uint8Array(width * height);
			this.#editor = new MaskEditor(width, height, data);
			shown.labels = {
				width,
				height,
				data
			};
		}
		return this.#editor;
	}
	commit(did) {
		const [editor, shown] = [this.#editor, this.#shown];
		const project = this.session.project.peek();
		const slot = this.session.look.slot.peek();
		if (editor === null || shown === null || project === null || slot === null) return;
		const marked = markedOn(project, shown.frame);
		const { changed, painted } = editor.finish();
		const slots = changed.filter((other) => other === slot || marked.includes(other));
		if (painted && !slots.includes(slot) && !marked.includes(slot)) slots.push(slot);
		if (slots.length > 0) r(() => this.#mark(shown, slots, editor.labels, did));
		if (this.#dirty === null) this.numbers.value = this.#painter.centres();
		this.painted.value = this.painted.peek() + 1;
		this.#present();
	}
	#mark(shown, slots, labels, did) {
		const { session } = this;
		mark(session, {
			frame: shown.frame,
			slots,
			did
		}, labels);
		shown.marks = session.marks.of(shown.frame) ?? null;
		const project = session.project.peek();
		shown.marked = project === null ? "" : markedOn(project, shown.frame).join();
	}
	drop() {
		if (!this.#editor?.drawing) return false;
		this.change(this.#editor.drop());
		return true;
	}
	labels() {
		return this.#shown?.labels ?? null;
	}
	areas() {
		const labels = this.#shown?.labels ?? null;
		if (labels === null || labels.width !== this.#video.width) return null;
		const areas = new Uint32Array(256);
		for (const slot of labels.data) areas[slot]++;
		return areas;
	}
	slotAt(x, y) {
		const labels = this.#shown?.labels ?? null;
		const video = this.#video;
		if (labels === null || x < 0 || y < 0 || x >= video.width || y >= video.height) return 0;
		const [column, row] = [Math.floor(x * labels.width / video.width), Math.floor(y * labels.height / video.height)];
		return labels.data[row * labels.width + column];
	}
};
function styleOf(text) {
	const { objects, tint, hidden, dashed } = JSON.parse(text);
	return overlayStyle(objects, {
		tint,
		hidden: new Set(hidden),
		dashed
	});
}
function sameMasks(a, b) {
	return a.frame === b?.frame && a.found === b.found && a.marks === b.marks && a.marked === b.marked;
}
var EMPTY = {
	picture: null,
	found: null,
	marks: null,
	marked: "",
	labels: null
};
// src/stage/stage_view.tsx
function StageView() {
	const workspace = useWorkspace();
	const box = T$1(null);
	const picture = T$1(null);
	const masks = T$1(null);
	A$1(() => {
		if (box.current === null || picture.current === null || masks.current === null) return;
		const stage = new Stage(workspace.session, picture.current, masks.current);
		const stop = listen(workspace, stage, box.current);
		return () => {
			stop();
			stage.stop();
		};
	}, [workspace]);
	return k$2("div", {
		ref: box,
		class: "stage",
		"data-tool": workspace.look.tool.value,
		"data-testid": "stage"
	}, k$2("canvas", { ref: picture }), k$2("canvas", { ref: masks }), k$2(Numbers, null), k$2(DraftShape, null), k$2(BrushCursor, null), k$2(FrameTrouble, null));
}
function listen(workspace, stage, element) {
	const pointer = new StagePointer(stage);
	const controller = new AbortController();
	const { signal } = controller;
	const resized = new ResizeObserver(() => measure(stage, element));
	resized.observe(element);
	measure(stage, element);
	element.addEventListener("pointerdown", (event) => pointer.down(event, element), { signal });
	element.addEventListener("pointermove", (event) => pointer.move(event, element), { signal });
	element.addEventListener("pointerup", (event) => pointer.up(event), { signal });
	element.addEventListener("pointercancel", () => pointer.drop(), { signal });
	element.addEventListener("pointerleave", () => pointer.leave(), { signal });
	element.addEventListener("dblclick", () => pointer.closePolygon(), { signal });
	element.addEventListener("contextmenu", (event) => event.preventDefault(), { signal });
	const wheel = (event) => {
		event.preventDefault();
		pointer.wheel(event, element);
	};
	element.addEventListener("wheel", wheel, {
		signal,
		passive: false
	});
	workspace.stage.value = stage;
	workspace.pointer.value = pointer;
	return () => {
		controller.abort();
		resized.disconnect();
		workspace.stage.value = null;
		workspace.pointer.value = null;
	};
}
function measure(stage, element) {
	const ratio = devicePixelRatio;
	const width = Math.max(1, Math.round(element.clientWidth * ratio));
	const height = Math.max(1, Math.round(element.clientHeight * ratio));
	const { value } = stage.size;
	if (value.width !== width || value.height !== height) stage.size.value = {
		width,
		height
	};
}
function Numbers() {
	const { stage, session, look } = useWorkspace();
	const project = session.project.value;
	if (stage.value === null || project === null || look.masksHidden.value) return null;
	return k$2("div", {
		class: "numbers",
		"aria-hidden": "true"
	}, stage.value.numbers.value.map(({ slot, x, y, small }) => {
		const object = objectOf(project, slot);
		if (object === null) return null;
		const place = {
			left: `${x / devicePixelRatio}px`,
			top: `${y / devicePixelRatio}px`
		};
		const colours = {
			background: object.colour,
			color: readableOn(object.colour)
		};
		return k$2("span", {
			key: slot,
			class: small ? "above" : "",
			style: {
				...place,
				...colours
			}
		}, object.id);
	}));
}
function DraftShape() {
	const { stage, pointer } = useWorkspace();
	const draft = pointer.value?.draft.value ?? null;
	if (stage.value === null || draft === null) return null;
	return k$2("svg", {
		class: "draft",
		"aria-hidden": "true"
	}, draft.kind === "polygon" ? k$2(Polygon, { draft }) : k$2(Box, { draft }));
}
function Polygon({ draft }) {
	const { stage, pointer } = useWorkspace();
	const view = stage.value?.view.value;
	if (view === void 0) return null;
	const ratio = devicePixelRatio;
	const corners = draft.points.map((point) => toView(view, point));
	const hover = pointer.value?.at.value ?? null;
	const path = (hover === null ? corners : [...corners, toView(view, hover)]).map(({ x, y }) => `${x / ratio},${y / ratio}`).join(" ");
	return k$2($, null, k$2("polygon", {
		class: "under",
		points: path
	}), k$2("polygon", { points: path }), corners.map(({ x, y }, i) => k$2("circle", {
		key: `${x} ${y}`,
		class: i === draft.chosen ? "chosen" : "",
		cx: x / ratio,
		cy: y / ratio,
		r: "4"
	})));
}
function Box({ draft }) {
	const view = useWorkspace().stage.value?.view.value;
	if (view === void 0) return null;
	const [a, b] = [toView(view, draft.from), toView(view, draft.to)];
	const ratio = devicePixelRatio;
	const box = {
		x: Math.min(a.x, b.x) / ratio,
		y: Math.min(a.y, b.y) / ratio,
		width: Math.abs(a.x - b.x) / ratio,
		height: Math.abs(a.y - b.y) / ratio
	};
	return k$2($, null, k$2("rect", {
		class: "under",
		...box
	}), k$2("rect", box));
}
function BrushCursor() {
	const { stage, pointer, look } = useWorkspace();
	const circle = T$1(null);
	useSignalEffect(() => {
		const at = pointer.value?.at.value ?? null;
		const view = stage.value?.view.value;
		const element = circle.current;
		if (element === null) return;
		const used = look.tool.value === "brush" || look.tool.value === "eraser";
		element.hidden = at === null || view === void 0 || !used;
		if (at === null || view === void 0) return;
		const ratio = devicePixelRatio;
		const diameter = Math.max(3, look.brush.value * view.scale / ratio);
		const { x, y } = toView(view, at);
		element.style.width = element.style.height = `${diameter}px`;
		element.style.transform = `translate(${x / ratio - diameter / 2}px, ${y / ratio - diameter / 2}px)`;
	});
	return k$2("div", {
		ref: circle,
		class: "brush-cursor",
		hidden: true,
		"aria-hidden": "true"
	});
}
function FrameTrouble() {
	const { stage, look, session } = useWorkspace();
	const trouble = stage.value?.trouble.value ?? null;
	const shown = stage.value?.frame.value ?? null;
	if (trouble !== null) return k$2("div", {
		class: "stage-note trouble",
		role: "status",
		onPointerDown: (event) => event.stopPropagation()
	}, k$2("p", null, "This frame cannot be shown: ", trouble.message), trouble instanceof ApiError && trouble.kind === "FrameError" && k$2("button", {
		type: "button",
		class: "small",
		onClick: () => void session.holdBadFrames()
	}, "Hold the frame before it"));
	const { value } = session.video;
	if (value === null || shown === look.frame.value) return null;
	return k$2("p", { class: "stage-note waiting" }, "Frame ", look.frame.value + value.first, " is being read…");
}
// src/timeline/axis.ts
var STEPS = [
	1,
	2,
	5
];
var LEAST = 10;
function pixelOf(frame, window, width) {
	return (frame - window.from) * width / window.length;
}
function frameUnder(pixel, window, width) {
	return Math.floor(window.from + pixel * window.length / width);
}
function ticksOf(window, width, apart) {
	const least = window.length * apart / Math.max(1, width);
	const power = 10 ** Math.floor(Math.log10(Math.max(1, least)));
	const step = STEPS.map((times) => times * power).find((each) => each >= least) ?? 10 * power;
	const ticks = [];
	for (let tick = Math.ceil(window.from / step) * step; tick < window.from + window.length;) {
		ticks.push(tick);
		tick += step;
	}
	return ticks;
}
function zoomedWindow(window, around, factor, count) {
	const length = Math.min(count, Math.max(Math.min(LEAST, count), window.length * factor));
	if (length >= count) return null;
	return within({
		from: around - (around - window.from) / window.length * length,
		length
	}, count);
}
function pannedWindow(window, frames, count) {
	return within({
		...window,
		from: window.from + frames
	}, count);
}
function within(window, count) {
	return {
		...window,
		from: Math.min(count - window.length, Math.max(0, window.from))
	};
}
// src/timeline/lanes.ts
function columnsOf(track, window, width) {
	const columns = [];
	for (let i = 0; i < width; i++) {
		const first = Math.floor(window.from + i * window.length / width);
		const next = Math.floor(window.from + (i + 1) * window.length / width);
		columns.push(reduced(track, first, Math.max(first + 1, next)));
	}
	return columns;
}
function reduced(track, from, to) {
	let area = -1;
	let confidence = NaN;
	for (let frame = Math.max(0, from); frame < Math.min(to, track.area.length); frame++) {
		if (track.area[frame] > area) area = track.area[frame];
		const sure = track.confidence[frame];
		if (!(sure >= confidence) && !Number.isNaN(sure)) confidence = sure;
	}
	return {
		area,
		confidence
	};
}
function largestOf(track) {
	let largest = 1;
	for (const area of track.area) if (area > largest) largest = area;
	return largest;
}
var HATCH = 6;
function drawLane(context, columns, at, style) {
	const { top, height, largest } = at;
	context.fillStyle = style.colour;
	columns.forEach(({ area }, x) => {
		if (area <= 0) return;
		const tall = Math.max(2, Math.round(height * Math.sqrt(area / largest)));
		context.fillRect(x, top + height - tall, 1, tall);
	});
	hatch(context, columns, at, style);
	context.fillStyle = style.line;
	columns.forEach(({ area, confidence }, x) => {
		if (area <= 0 || !(confidence < .8)) return;
		context.fillRect(x, top + Math.round((height - 2) * (1 - confidence)), 1, 2);
	});
}
function hatch(context, columns, { top, height }, style) {
	context.fillStyle = style.back;
	for (let x = Math.max(0, Math.ceil(style.outdatedFrom)); x < columns.length; x++) {
		if (columns[x].area <= 0) continue;
		for (let y = HATCH - x % HATCH; y < height + HATCH; y += HATCH) context.fillRect(x, top + Math.max(0, y - 3), 1, 3);
	}
}
function Timeline() {
	const workspace = useWorkspace();
	const { session, look } = workspace;
	const width = useSignal(1);
	const track = T$1(null);
	A$1(() => {
		if (track.current === null) return;
		return watch(workspace, track.current, (pixels) => {
			width.value = pixels;
		});
	}, [workspace, width]);
	const project = session.project.value;
	if (project === null) return null;
	const objects = project.objects;
	const window = look.window.value ?? {
		from: 0,
		length: project.video.count
	};
	return k$2("div", { class: "timeline" }, k$2("div", {
		class: "lane-names",
		"aria-hidden": "true",
		style: { paddingTop: `18px` }
	}, objects.map((object) => k$2("button", {
		key: object.slot,
		type: "button",
		tabIndex: -1,
		class: look.slot.value === object.slot ? "chosen" : "",
		title: object.name,
		onClick: () => {
			look.slot.value = object.slot;
		}
	}, object.id))), k$2("div", {
		class: "track",
		ref: track,
		"data-testid": "timeline"
	}, k$2("input", {
		type: "range",
		"aria-label": "Frame",
		min: 0,
		max: project.video.count - 1,
		value: look.frame.value,
		"aria-valuetext": `frame ${look.frame.value + project.video.first}`,
		onInput: (event) => session.goTo(Number(event.currentTarget.value))
	}), k$2(Lanes, {
		width: width.value,
		window
	}), k$2(Marks, {
		width: width.value,
		window
	}), k$2(Playhead, {
		width: width.value,
		window
	})));
}
function watch(workspace, element, resized) {
	const { session, look } = workspace;
	const observer = new ResizeObserver(() => resized(element.clientWidth));
	observer.observe(element);
	resized(element.clientWidth);
	const controller = new AbortController();
	const { signal } = controller;
	const windowNow = () => look.window.value ?? {
		from: 0,
		length: session.last.value + 1
	};
	const under = (event) => frameUnder(event.clientX - element.getBoundingClientRect().left, windowNow(), element.clientWidth);
	const seek = (event) => {
		if (event.type === "pointerdown") element.setPointerCapture(event.pointerId);
		if ((event.buttons & 1) === 1) session.goTo(under(event));
	};
	const wheel = (event) => {
		event.preventDefault();
		const turn = Math.abs(event.deltaX) > Math.abs(event.deltaY) ? event.deltaX : event.deltaY;
		const count = session.last.value + 1;
		const now = windowNow();
		look.window.value = event.shiftKey ? pannedWindow(now, turn * now.length / 800, count) : zoomedWindow(now, under(event), 1.0015 ** turn, count);
	};
	element.addEventListener("pointerdown", seek, { signal });
	element.addEventListener("pointermove", seek, { signal });
	element.addEventListener("wheel", wheel, {
		signal,
		passive: false
	});
	return () => {
		controller.abort();
		observer.disconnect();
	};
}
function usePlace({ width, window }) {
	const place = useSignal({
		width,
		window
	});
	A$1(() => {
		place.value = {
			width,
			window
		};
	}, [
		place,
		width,
		window.from,
		window.length
	]);
	return place;
}
function Lanes(at) {
	const { session, look } = useWorkspace();
	const canvas = T$1(null);
	const place = usePlace(at);
	useSignalEffect(() => {
		session.results.version.value;
		const project = session.project.value;
		if (canvas.current === null || project === null) return;
		drawLanes(canvas.current, project, session.results.tracks, place.value);
		look.slot.value;
	});
	return k$2("canvas", {
		ref: canvas,
		style: { height: `${18 + (session.project.value?.objects.length ?? 0) * 18}px` }
	});
}
function drawLanes(canvas, project, tracks, { width, window }) {
	const height = 18 + project.objects.length * 18;
	const ratio = devicePixelRatio;
	canvas.width = Math.round(width * ratio);
	canvas.height = Math.round(height * ratio);
	const context = canvas.getContext("2d");
	if (context === null) return;
	context.scale(ratio, ratio);
	const styles = getComputedStyle(canvas);
	const colour = (name) => styles.getPropertyValue(name).trim();
	drawAxis(context, project, {
		width,
		window
	}, colour("--muted"));
	const outdated = project.outdated_from;
	project.objects.forEach((object, i) => {
		const top = 18 + i * 18;
		context.fillStyle = colour("--lane");
		context.fillRect(0, top + 1, width, 16);
		const track = tracks.get(object.slot);
		if (track === void 0) return;
		const columns = columnsOf(track, window, width);
		const at = {
			top: top + 2,
			height: 14,
			largest: largestOf(track)
		};
		const outdatedFrom = outdated === null ? Infinity : pixelOf(outdated, window, width);
		const style = {
			colour: object.colour,
			line: colour("--text"),
			back: colour("--lane")
		};
		drawLane(context, columns, at, {
			...style,
			outdatedFrom
		});
	});
}
function drawAxis(context, project, { width, window }, colour) {
	context.fillStyle = colour;
	context.font = "11px system-ui, sans-serif";
	context.textBaseline = "top";
	for (const tick of ticksOf(window, width, 70)) {
		const x = Math.round(pixelOf(tick, window, width));
		context.fillRect(x, 13, 1, 5);
		context.fillText(String(tick + project.video.first), x + 3, 2);
	}
}
function Marks({ width, window }) {
	const { session, look } = useWorkspace();
	const project = session.project.value;
	if (project === null) return null;
	const lane = new Map(project.objects.map((object, i) => [object.slot, i]));
	const at = (frame) => pixelOf(frame + .5, window, width);
	const sign = (frame, slot, kind, text) => {
		const row = lane.get(slot);
		const x = at(frame);
		if (row === void 0 || x < 0 || x > width) return null;
		const top = 18 + row * 18 + 9;
		return k$2("span", {
			key: `${kind} ${frame} ${slot}`,
			class: `sign ${kind}`,
			style: {
				left: `${x}px`,
				top: `${top}px`
			}
		}, text);
	};
	const signs = (table, kind, text) => Object.entries(table).flatMap(([frame, slots]) => slots.map((slot) => sign(Number(frame), slot, kind, text)));
	const [first, last] = [look.inPoint.value, look.outPoint.value];
	return k$2("div", {
		class: "signs",
		"aria-hidden": "true"
	}, first !== null && k$2("span", {
		class: "point in",
		style: { left: `${pixelOf(first, window, width)}px` }
	}), last !== null && k$2("span", {
		class: "point out",
		style: { left: `${pixelOf(last + 1, window, width)}px` }
	}), signs(project.prompts, "prompt", "◆"), signs(project.absent, "absent", "∅"), project.ends.map(([frame, slot]) => sign(frame, slot, "end", "✕")), project.renames.flatMap(([frame, , slots]) => slots.map((slot) => sign(frame, slot, "rename", "⇄"))), session.flags.value.filter((flag) => !flag.seen).map((flag) => sign(flag.frame, flag.slot, "flag", "▲")));
}
function Playhead(at) {
	const { look } = useWorkspace();
	const line = T$1(null);
	const place = usePlace(at);
	useSignalEffect(() => {
		const element = line.current;
		const { value } = place;
		const x = pixelOf(look.frame.value + .5, value.window, value.width);
		if (element === null) return;
		element.style.transform = `translateX(${x}px)`;
		element.hidden = x < 0 || x > value.width;
	});
	return k$2("div", {
		ref: line,
		class: "playhead",
		"aria-hidden": "true"
	});
}
// src/app.tsx
function App() {
	const { session } = useWorkspace();
	const name = session.project.value?.name;
	A$1(() => {
		document.title = name === void 0 ? "maskcast" : `${name} – maskcast`;
	}, [name]);
	return k$2($, null, k$2(TroubleBar, null), session.project.value === null ? k$2(Start, null) : k$2(Workbench, { key: session.project.value.key }), k$2(Messages, null));
}
function Workbench() {
	const workspace = useWorkspace();
	A$1(() => {
		const stops = [listenToKeys(workspace), followPlayback(workspace.session)];
		return () => {
			for (const stop of stops) stop();
		};
	}, [workspace]);
	return k$2("div", { class: "workbench" }, k$2(Header, null), k$2(Tools, null), k$2("main", { "aria-label": "Frame" }, k$2(ToolLine, null), k$2(StageView, null)), k$2("aside", { "aria-label": "Objects and flags" }, k$2(Objects, null), k$2(FramePanel, null), k$2(Flags, null)), k$2("section", {
		class: "time",
		"aria-label": "Time"
	}, k$2(Transport, null), k$2(Timeline, null)), workspace.dialog.value === "help" && k$2(Help, null), workspace.dialog.value === "export" && k$2(ExportDialog, null));
}
// src/main.tsx
function takeToken() {
	const given = new URLSearchParams(location.hash.slice(1)).get("token");
	if (given !== null) {
		sessionStorage.setItem("token", given);
		history.replaceState(null, "", location.pathname);
	}
	return sessionStorage.getItem("token") ?? "";
}
function start(root) {
	const token = takeToken();
	if (token === "") {
		root.textContent = "Open the address that maskcast app printed: it holds the key to this page.";
		return;
	}
	const session = new Session(new Api(token), new Look());
	const workspace = new Workspace(session);
	Object.assign(window, { maskcast: workspace });
	Q(k$2(WorkspaceProvider, { value: workspace }, k$2(App, null)), root);
	session.begin();
}
var root = document.getElementById("app");
if (root !== null) start(root);
