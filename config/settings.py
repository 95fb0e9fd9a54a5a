"""Settings of Winnow; everything an operator can change is an environment variable."""

from csp.constants import NONE, SELF

from config import environment

BASE_DIR = environment.ROOT
DATA_DIR = environment.data_folder()
SECRET_KEY = environment.secret_key(DATA_DIR)
DEBUG = environment.flag("WINNOW_DEBUG")
BIND = environment.bind()
ALLOWED_HOSTS = environment.hosts(BIND)
WEIGHTS_DIR = environment.weights_folder()

INSTALLED_APPS = [
    "config",
    "quality",
    "labeling",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_htmx",
    "axes",
    "csp",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "config.static_files.StaticFiles",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "axes.middleware.AxesMiddleware",
]
ROOT_URLCONF = "config.urls"
ASGI_APPLICATION = "config.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "labeling.context.shell",
            ],
        },
    },
]

DATABASES = {"default": environment.database(DATA_DIR)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "labeling.User"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "login"
# Locked by user name and address together, so that nobody can lock a colleague out from elsewhere.
AXES_FAILURE_LIMIT = 8
AXES_COOLOFF_TIME = 0.25  # hours
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_LOCKOUT_TEMPLATE = "registration/locked.html"
AXES_RESET_ON_SUCCESS = True
AXES_VERBOSE = False

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English")]  # else dates are told in the browser's, amid English words
TIME_ZONE = environment.time_zone()
NIGHT_BEGINS = environment.night()
USE_TZ = True

STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = DATA_DIR / "static"
WHITENOISE_USE_FINDERS = True
MEDIA_ROOT = DATA_DIR / "media"
STORAGES = {
    "default": {"BACKEND": "labeling.storage.DurableStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
# A member of an upload above this is refused by name; the request itself is streamed to disk.
MOST_MEMBER_BYTES = 200 * 2**20
MOST_UPLOAD_BYTES = 20 * 2**30
LEAST_FREE_BYTES = 500 * 2**20
DATA_UPLOAD_MAX_NUMBER_FILES = 20_000
FILE_UPLOAD_MAX_MEMORY_SIZE = 256 * 2**10
FILE_UPLOAD_TEMP_DIR = DATA_DIR / "tmp"
FILE_UPLOAD_TEMP_DIR.mkdir(exist_ok=True)
STATIC_ROOT.mkdir(exist_ok=True)

SESSION_COOKIE_NAME = "winnow_session"
CSRF_COOKIE_NAME = "winnow_csrf"
SESSION_COOKIE_AGE = 14 * 24 * 3600
SECURE_CONTENT_TYPE_NOSNIFF = True
X_FRAME_OPTIONS = "DENY"
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:", "blob:"],
        "media-src": [SELF, "blob:"],
        "object-src": [NONE],
        "frame-ancestors": [NONE],
        "base-uri": [SELF],
        "form-action": [SELF],
    },
}

REDIS_URL = environment.redis_url(DATA_DIR)
CELERY_BROKER_URL = REDIS_URL
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# With the defaults a killed worker's message comes back after 100 s or never (measured).
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 12 * 3600,
    "unacked_restore_interval": 5,
    "unacked_restore_throttle": 1,
    # A page that starts work does not wait for a Redis that is away: beat sends it later.
    "max_retries": 1,
    "interval_start": 0,
    "interval_step": 0.1,
    "socket_connect_timeout": 2,
    "socket_timeout": 2,  # a Redis that hangs does not refuse: it never answers
}
CELERY_BEAT_SCHEDULE = {
    "resend lost jobs": {"task": "winnow.resend_jobs", "schedule": 30.0},
    "free expired claims": {"task": "winnow.free_expired_claims", "schedule": 60.0},
    "watch annotators": {"task": "winnow.watch_annotators", "schedule": 60.0},
    "remove old files": {"task": "winnow.remove_old_files", "schedule": 3600.0},
    "renew statistics": {"task": "winnow.renew_statistics", "schedule": 600.0},
    "measure crowds": {"task": "winnow.measure_crowds", "schedule": 60.0},
    "tell webhooks": {"task": "winnow.tell_webhooks", "schedule": 15.0},
    "mail notices": {"task": "winnow.mail_notices", "schedule": 300.0},
    "look for news": {"task": "winnow.look_for_news", "schedule": 60.0},
    "keep facts": {"task": "winnow.keep_facts", "schedule": 10.0},
}
CELERY_BEAT_SCHEDULE_FILENAME = str(DATA_DIR / "beat-schedule")

MAIL = environment.mail()
EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
EMAIL_HOST, EMAIL_PORT = MAIL["host"], MAIL["port"]
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = MAIL["user"], MAIL["password"]
EMAIL_USE_TLS, EMAIL_USE_SSL = MAIL["starttls"], MAIL["tls"]
EMAIL_TIMEOUT = 20
DEFAULT_FROM_EMAIL = MAIL["sender"]

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "root": {"handlers": ["console"], "level": "WARNING"},
    "loggers": {"labeling": {"level": "INFO"}, "quality": {"level": "INFO"}},
}
