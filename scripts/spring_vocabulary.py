"""What the services of ``spring_logs`` say: sentences with their loggers, threads, and exceptions with their frames.

Texts follow what Spring Boot, Tomcat, Hibernate, HikariCP, Kafka and Jackson really log. ``{…}`` names are filled in per event.
"""

from __future__ import annotations

from typing import NamedTuple


class Sentence(NamedTuple):
    """A log statement: where it stands, how loud, and what it says (a ``str.format`` text)."""

    logger: str
    level: str
    text: str


START = (
    Sentence("com.acme.{service}.Application", "INFO", "Starting Application v2.4.1 using Java 21.0.5 with PID {pid} (/app/app.jar started by app in /app)"),
    Sentence("com.acme.{service}.Application", "INFO", 'The following 1 profile is active: "prod"'),
    Sentence("org.springframework.boot.web.embedded.tomcat.TomcatWebServer", "INFO", "Tomcat initialized with port 8080 (http)"),
    Sentence("org.apache.catalina.core.ContainerBase.[Tomcat].[localhost].[/]", "INFO", "Initializing Spring embedded WebApplicationContext"),
    Sentence("com.zaxxer.hikari.HikariDataSource", "INFO", "HikariPool-1 - Start completed."),
    Sentence("com.acme.{service}.Application", "INFO", "Started Application in 4.512 seconds (process running for 5.119)"),
)  # fmt: skip

SENTENCES = (
    Sentence("com.acme.{service}.web.OrderController", "INFO", "GET /api/orders/{n} -> 200 in {ms} ms"),
    Sentence("com.acme.{service}.web.OrderController", "INFO", "POST /api/orders -> 201 in {ms} ms, order={n} customer={user}"),
    Sentence("com.acme.{service}.service.ShoppingCartService", "DEBUG", "cart of {user} has {small} items, total [{ms}.{small}0 EUR]"),
    Sentence("br.com.acme.ContaServiceLog", "INFO", " CALL http://contas:8080/v1/contas/{n}?saldo=true"),
    Sentence("br.com.acme.service.ContaService", "INFO", "Operação concluída: a conta {n} de {user} não tem pendências"),
    Sentence("org.hibernate.SQL", "DEBUG", "select o.id, o.total, o.state from orders o where o.customer_id=? and o.state in (?, ?) order by o.id desc limit {small}"),
    Sentence("org.springframework.kafka.listener.KafkaMessageListenerContainer", "INFO", "{service}-consumer: partitions assigned: [orders.v1-0, orders.v1-{small}]"),
    Sentence("com.acme.{service}.messaging.InventoryEventListener", "INFO", 'received {{"type":"StockReserved","sku":"SKU-{n}","quantity":{small}}} at offset {n}'),
    Sentence("com.acme.{service}.payment.PaymentGatewayClient", "INFO", "authorised {ms}.99 EUR for {user} : reference=PSP-{n} : 3ds=frictionless"),
    Sentence("com.acme.{service}.payment.PaymentGatewayClient", "WARN", "gateway answered 503 after {ms} ms, attempt {small} of 10"),
    Sentence("com.zaxxer.hikari.pool.HikariPool", "DEBUG", "HikariPool-1 - Pool stats (total=10, active={small}, idle=4, waiting=0)"),
    Sentence("org.springframework.web.servlet.DispatcherServlet", "DEBUG", 'GET "/api/orders/{n}?expand=items&lang=zh", parameters={{masked}}'),
    Sentence("com.acme.{service}.service.NotificationService", "INFO", "已向客户 {user} 发送订单 {n} 的确认邮件"),
    Sentence("com.acme.{service}.service.NotificationService", "INFO", "お客様 {user} へ通知しました 🎉 order={n}"),
    Sentence("com.acme.{service}.cache.PriceCache$Refresher", "TRACE", "refreshed {n} prices in {ms} ms — 100% of the catalogue"),
    Sentence("com.acme.{service}.security.TokenFilter", "WARN", "token of {user} expires in {small} minutes [issuer=https://sso.acme.example/realms/shop]"),
    Sentence("org.apache.kafka.clients.NetworkClient", "WARN", "[Consumer clientId=c-{small}, groupId={service}] Connection to node {small} could not be established. Node may not be available."),
    Sentence("com.acme.{service}.batch.InvoiceJob", "INFO", "step [render] done: read={n} written={n} skipped={small} duration={ms}ms"),
)  # fmt: skip

MULTILINE = (
    Sentence("com.acme.{service}.config.SettingsReporter", "INFO", "effective settings:\n  retries = {small}\n  timeout = {ms} ms\n  region  = São Paulo"),
    Sentence("org.springframework.boot.diagnostics.LoggingFailureAnalysisReporter", "ERROR", "\n\n***************************\nAPPLICATION FAILED TO START\n***************************\n\nDescription:\n\nWeb server failed to start. Port {ms} was already in use.\n\nAction:\n\nIdentify and stop the process that's listening on port {ms}."),
    Sentence("org.hibernate.SQL", "DEBUG", "\n    select\n        o.id,\n        o.total\n    from\n        orders o\n    where\n        o.id={n}"),
)  # fmt: skip

FAILURES = (
    Sentence("com.acme.{service}.web.ErrorHandler", "ERROR", "request {n} of {user} failed"),
    Sentence("org.apache.catalina.core.ContainerBase.[Tomcat].[localhost].[/].[dispatcherServlet]", "ERROR", "Servlet.service() for servlet [dispatcherServlet] in context with path [] threw exception [Request processing failed] with root cause"),
    Sentence("com.acme.{service}.payment.PaymentGatewayClient", "WARN", "payment {n} was not booked: trying again in {small} s"),
    Sentence("org.springframework.scheduling.support.TaskUtils$LoggingErrorHandler", "ERROR", "Unexpected error occurred in scheduled task"),
)  # fmt: skip

THREADS = (
    "main",
    "http-nio-8080-exec-1",
    "http-nio-8080-exec-2",
    "http-nio-8080-exec-17",
    "pool-3-thread-1",
    "scheduling-1",
    "org.springframework.kafka.KafkaListenerEndpointContainer#0-0-C-1",
    "HikariPool-1 housekeeper",
    "kafka-producer-network-thread | producer-1",
    "task-4",
)

USERS = ("ana", "João", "Zoë", "Łukasz", "王小明", "Ольга", "grace", "o'neill")

FRAMES = (
    "com.acme.{service}.payment.PaymentGatewayClient.charge(PaymentGatewayClient.java:{small}7) ~[!/:2.4.1]",
    "com.acme.{service}.service.OrderService.lambda$place$3(OrderService.java:118) ~[!/:2.4.1]",
    "com.acme.{service}.service.OrderService$$SpringCGLIB$$0.place(<generated>) ~[!/:2.4.1]",
    "com.acme.{service}.domain.Order.<init>(Order.java:41) ~[!/:2.4.1]",
    "java.base/jdk.internal.reflect.DirectMethodHandleAccessor.invoke(DirectMethodHandleAccessor.java:103) ~[na:na]",
    "java.base/java.lang.reflect.Method.invoke(Method.java:580) ~[na:na]",
    "org.springframework.aop.framework.ReflectiveMethodInvocation.proceed(ReflectiveMethodInvocation.java:184) ~[spring-aop-6.2.1.jar!/:6.2.1]",
    "org.springframework.transaction.interceptor.TransactionInterceptor.invoke(TransactionInterceptor.java:119) ~[spring-tx-6.2.1.jar!/:6.2.1]",
    "org.springframework.web.servlet.DispatcherServlet.doDispatch(DispatcherServlet.java:1088) ~[spring-webmvc-6.2.1.jar!/:6.2.1]",
    "org.springframework.web.servlet.FrameworkServlet.service(FrameworkServlet.java:885) ~[spring-webmvc-6.2.1.jar!/:6.2.1]",
    "org.apache.catalina.core.StandardWrapperValve.invoke(StandardWrapperValve.java:167) ~[tomcat-embed-core-10.1.34.jar!/:na]",
    "org.apache.tomcat.util.net.NioEndpoint$SocketProcessor.doRun(NioEndpoint.java:1741) ~[tomcat-embed-core-10.1.34.jar!/:na]",
    "java.base/java.util.concurrent.ThreadPoolExecutor.runWorker(ThreadPoolExecutor.java:1144) ~[na:na]",
    "java.base/sun.nio.ch.Net.connect0(Native Method) ~[na:na]",
    "java.base/java.lang.Thread.run(Thread.java:1583) ~[na:na]",
)


class Exceptional(NamedTuple):
    """An exception: its class, its message (``None``: it has none), and what caused it."""

    type: str
    message: str | None
    cause: tuple[str, str | None] | None = None
    suppressed: tuple[str, str | None] | None = None


EXCEPTIONS = (
    Exceptional("java.lang.NullPointerException", None),
    Exceptional("java.lang.IllegalStateException", "order {n} is already paid: state=[PAID]"),
    Exceptional("org.springframework.web.client.ResourceAccessException", 'I/O error on POST request for "http://psp:8443/charge": Connection refused', ("java.net.ConnectException", "Connection refused")),
    Exceptional("org.springframework.dao.DataIntegrityViolationException", "could not execute statement; SQL [n/a]; constraint [uk_order_{n}]", ("org.postgresql.util.PSQLException", 'ERROR: duplicate key value violates unique constraint "uk_order_{n}"\n  Detail: Key (id)=({n}) already exists.')),
    Exceptional("com.fasterxml.jackson.core.JsonParseException", "Unrecognized token 'não': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false')\n at [Source: (String)\"não\"; line: 1, column: {small}]"),
    Exceptional("java.io.UncheckedIOException", "cannot write the invoice of 王小明", ("java.io.IOException", "No space left on device"), ("java.io.IOException", "Stream closed")),
    Exceptional("br.com.acme.SaldoInsuficienteException", "saldo insuficiente: conta {n}, operação negada"),
)  # fmt: skip

BANNER = r"""
  .   ____          _            __ _ _
 /\\ / ___'_ __ _ _(_)_ __  __ _ \ \ \ \
( ( )\___ | '_ | '_| | '_ \/ _` | \ \ \ \
 \\/  ___)| |_)| | | | | || (_| |  ) ) ) )
  '  |____| .__|_| |_|_| |_\__, | / / / /
 =========|_|==============|___/=/_/_/_/

 :: Spring Boot ::                (v3.4.1)

"""
